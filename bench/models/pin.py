"""python -m bench pin SUITE: write the commits in the hub's cache into a suite file.

A branch changes, so a suite that names a branch may measure other weights next month. Nothing is downloaded.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import tomlkit

from bench.inputs import read_text
from bench.models.files import folder_of, how_to_download
from bench.models.suites import find_suite, load_suite
from bench.outputs import write_text
from bench.records import ModelEntry
from bench.text import say


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("suite", metavar="SUITE", help="a name or a TOML file, as in --boxes-suite")


def run(args: Namespace) -> int:
    """Write the commits, and print a line for each model that is still not pinned."""
    found: dict[str, str] = {}
    missing: list[ModelEntry] = []
    for entry in load_suite(args.suite).models.values():
        if not entry.pinned:
            try:
                found[entry.name] = folder_of(entry).name  # the name of a snapshot is its commit
            except ValueError:
                missing.append(entry)
    path = find_suite(args.suite)
    document = tomlkit.parse(read_text(path))  # with its comments
    for table in document["models"]:
        if table["name"] in found:
            table["revision"] = found[table["name"]]
    write_text(path, tomlkit.dumps(document))
    for name, commit in found.items():
        say(f"{name}: {commit}")
    for entry in missing:
        say(f"{entry.name}: not pinned, because it is not downloaded. {how_to_download(entry)}")
    say(f"{path}: {len(found)} models pinned, {len(missing)} not pinned.")
    return 0
