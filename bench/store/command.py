"""python -m bench store: list and check the stored completions, and explain why one was not found."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from bench.inputs import InputError, place, utf8
from bench.outputs import check_replaceable, replacing
from bench.records import Completion
from bench.store.completions import FIELDS, RUN_FIELDS, Row, Store, completion, is_intact
from bench.store.database import BESIDE, existing_store, is_store
from bench.text import say

DEFAULT_STORE = ".boxes/store.sqlite"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    at = argparse.ArgumentParser(add_help=False)
    at.add_argument("--store", default=DEFAULT_STORE, help="the store's file (default: %(default)s)")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("ls", parents=[at], help="list the runs that made completions")
    actions.add_parser("verify", parents=[at], help="check every page and row; set damaged rows aside")
    export = actions.add_parser("export", parents=[at], help="write all completions to one file")
    export.add_argument("--format", choices=WRITERS, default="jsonl")
    export.add_argument("--output", required=True, metavar="FILE")
    merge = actions.add_parser("merge", parents=[at], help="add the completions of other stores")
    merge.add_argument("others", nargs="+", metavar="OTHER")
    prune = actions.add_parser("prune", parents=[at], help="delete the completions of some runs")
    prune.add_argument("--model", type=utf8, help="only runs of this model")
    prune.add_argument("--before", type=date.fromisoformat, metavar="DATE", help="only runs before this date")
    prune.add_argument("--problems", action="store_true", help="delete damaged rows and disagreements")
    why = actions.add_parser("why-miss", parents=[at], help="show which settings the last run changed")
    why.add_argument("--model", type=utf8, help="use the last run of this model (default: the last run)")


def run(args: argparse.Namespace) -> int:
    """Run an action. Raises InputError for a store that is missing or not readable."""
    for path in getattr(args, "others", [args.store]):  # the target of a merge may be new
        existing_store(path)
    with Store(args.store, readonly=args.action in ("ls", "export", "why-miss")) as store:
        lines = list(ACTIONS[args.action](store, args))
        say(*store.notices, *lines)
        return 1 if args.action == "verify" and store.notices else 0


def ls(store: Store, args: argparse.Namespace) -> Iterator[str]:
    yield f"{'rows':>7}  {'started':<25}  {'settings':<12}  {'run':<12}  model, engine"
    for entry in store.runs():
        yield (
            f"{entry['rows']:>7}  {entry['started']:<25}  {entry['settings_digest'][:12]:<12}  "
            f"{entry['id'][:12]:<12}  {entry['model']}, {entry['settings'].get('engine', 'unreadable')}"
        )
    yield from store.problems()


def verify(store: Store, args: argparse.Namespace) -> Iterator[str]:
    damaged = [row for row in store.read(f"SELECT {FIELDS} FROM completions") if not is_intact(row)]
    if damaged:
        store.set_aside([row[0] for row in damaged])
    [(rows,)] = store.read("SELECT count(*) FROM completions")
    yield f"{rows} completions match their digests, and the file is intact"
    yield from store.problems()


def export(store: Store, args: argparse.Namespace) -> Iterator[str]:
    output = place(args.output)
    check_output(output, place(args.store))
    rows = [record(row, answer) for row in store.read(EXPORTED) if (answer := completion(row[:6]))]
    try:
        with replacing(output) as fresh:
            WRITERS[args.format](rows, fresh)
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror}. Choose another --output.") from None
    yield f"{len(rows)} completions are in {output}"


def check_output(output: Path, store: Path) -> None:
    """Refuse an output path that is a store, a store's own file, a folder or a device."""
    own = [store, *(Path(f"{store}{suffix}") for suffix in BESIDE)]
    if output.resolve() in [path.resolve() for path in own]:
        raise InputError(f"--output {output} belongs to the store {store}. Choose another file.")
    check_replaceable(output)
    if output.exists() and is_store(output):
        raise InputError(f"--output {output} is a store that would be lost. Choose another file.")


EXPORTED = f"""
SELECT {", ".join(f"completions.{name}" for name in FIELDS.split(", "))},
    runs.model, runs.id, runs.settings_digest, runs.settings
FROM completions LEFT JOIN runs ON runs.number = completions.run
ORDER BY runs.model, runs.settings_digest, completions.key
"""


def record(row: Row, answer: Completion) -> dict[str, object]:
    model, run, settings_digest, settings = (value if isinstance(value, str) else None for value in row[6:])
    return {
        "model": model, "run": run, "settings_digest": settings_digest, "settings": settings,
        "key": row[0], "text": answer.text, "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens, "token_ids": list(answer.token_ids),
    }  # fmt: skip


def write_jsonl(rows: list[dict[str, object]], path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_parquet(rows: list[dict[str, object]], path: Path) -> None:
    try:
        arrow, parquet = (importlib.import_module(name) for name in ("pyarrow", "pyarrow.parquet"))
    except ImportError:
        raise InputError(
            "Parquet needs pyarrow, which is not installed. Run pip install pyarrow, or use --format jsonl."
        ) from None
    parquet.write_table(arrow.Table.from_pylist(rows), path)


def merge(store: Store, args: argparse.Namespace) -> Iterator[str]:
    for path in args.others:
        with Store(path, readonly=True) as other, store.transaction():
            runs = {row[0]: store.keep_run(row[1:]) for row in other.read(RUN_ROWS)}
            rows = other.read(f"SELECT {FIELDS}, run FROM completions ORDER BY number")
            whole = [(row, answer) for row in rows if (answer := completion(row[:6]))]
            added = sum(store.insert(row[0], answer, runs.get(row[6], 0)) for row, answer in whole)
        yield from other.notices
        yield f"{path}: {added} of {len(rows)} completions were new, {len(rows) - len(whole)} were damaged"
    yield from store.problems()


RUN_ROWS = f"SELECT number, {RUN_FIELDS} FROM runs ORDER BY number"


def prune(store: Store, args: argparse.Namespace) -> Iterator[str]:
    if not (args.model or args.before or args.problems):
        raise InputError("prune deletes completions. Choose them with --model, --before or --problems.")
    with store.transaction():
        if args.problems:
            for table in ("quarantine", "disagreements"):
                store.database.execute(f"DELETE FROM {table}")
        if args.model or args.before:
            chosen = "SELECT number FROM runs WHERE model = ifnull(?, model) AND started < ifnull(?, '~')"
            bounds = (args.model, args.before and args.before.isoformat())
            deleted = store.database.execute(f"DELETE FROM completions WHERE run IN ({chosen})", bounds)
            store.database.execute(f"DELETE FROM runs WHERE number IN ({chosen})", bounds)
            yield f"{deleted.rowcount} completions were deleted"
    store.read("VACUUM")  # returns the space of deleted rows to the disk


def why_miss(store: Store, args: argparse.Namespace) -> Iterator[str]:
    """Compare the last run with runs under other settings, fewest differences first: the likeliest reason."""
    runs = [entry for entry in store.runs() if args.model in (None, entry["model"])]
    if not runs:
        raise InputError(f"no run of {args.model or 'any model'} in {store.path}. See store ls.")
    last = runs[-1]
    yield f"the last run of {last['model']} ({last['started']}) made {last['rows']} completions"
    earlier = {entry["settings_digest"]: entry for entry in runs[:-1] if entry["model"] == last["model"]}
    if not earlier:
        yield "it is the first run of this model in the store"
    elif last["settings_digest"] in earlier:
        yield "its settings equal those of an earlier run, but its prompts are new"
    else:
        changes = {run["started"]: differences(run["settings"], last["settings"]) for run in earlier.values()}
        nearest = min(changes, key=lambda started: len(changes[started]))
        yield f"compared with the run of {nearest}:"
        yield from changes[nearest]


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    return [
        f"  {name}: {json.dumps(before.get(name))} -> {json.dumps(after.get(name))}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


ACTIONS = {"ls": ls, "verify": verify, "export": export, "merge": merge, "prune": prune, "why-miss": why_miss}
WRITERS = {"jsonl": write_jsonl, "parquet": write_parquet}
