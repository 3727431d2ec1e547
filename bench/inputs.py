"""Files and options from users -> checked values. Every mistake is an InputError with one line."""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
import threading
import tomllib
import traceback
import typing
from argparse import ArgumentTypeError
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from bench.text import printable

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MEGABYTE = 10**6
MISTAKE, BUG = 4, 3  # pytest's exit statuses
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LONGEST_NAME = 100  # characters in the name of a model, suite or saved run, since file names contain it
LARGEST = 2**63 - 1  # the largest whole number that every reader accepts
Value = TypeVar("Value")
WORDS = {  # words in msgspec's messages -> plain words
    r"\bstr\b": "a string", r"\bint\b": "a whole number", r"\bfloat\b": "a number",
    r"\bbool\b": "true or false", r"\barray\b": "a list", r"\bobject\b": "a table of keys",
    r"\bnull\b": "nothing", "got": "but got", ">= ": "of at least ", "<= ": "of at most ",
    "> ": "above ", "< ": "below ", r"\.0$": "",
}  # fmt: skip


class InputError(ValueError):
    """A file, an option or an answer is unusable. One line says what is wrong, why, and what to do."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


def explain(error: BaseException) -> tuple[str, int]:
    """An exception as one line for the user, and the exit status: MISTAKE or BUG."""
    if isinstance(error, InputError):
        return str(error), MISTAKE
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        full = " Nothing was damaged. Free some space and start again." if error.errno in FULL else ""
        return printable(f"{where}{error.strerror or error}.{full}"), MISTAKE
    last = traceback.extract_tb(error.__traceback__)[-1:]
    at = "".join(f" ({Path(frame.filename).name}, line {frame.lineno})" for frame in last)
    return printable(
        f"a bug of entity-tracking-bench: {type(error).__name__}: {error}{at}. "
        "The store keeps all answers. Report it as CONTRIBUTING.md says, with the output of --boxes-debug."
    ), BUG


def place(text: str | Path) -> Path:
    """A path from a user. Raises InputError if no file can have this path."""
    try:
        path = Path(text).expanduser()
        if any(ord(letter) < 32 for letter in str(path)):
            raise InputError(f"{str(text)!r} is not a path: it has a control character. Remove it.")
        path.resolve().exists()  # a loop of links, a name that is too long
        return path
    except UnicodeEncodeError:
        raise InputError(f"{shortened(text)} is not a path: it is not text. Choose another.") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop, or the home folder of an unknown user
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shortened(text)} is not a path: {why}. Choose another.") from None


def read_bytes(path: Path, limit: int = 16 * MEGABYTE) -> bytes:
    """A whole file of at most `limit` bytes. Pipes and devices are refused, because reading might not end."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise InputError(f"{path} is not a file. Give a file.")
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        why = getattr(error, "strerror", error)
        raise InputError(f"{shortened(path, 300)} cannot be read: {why}.") from None
    if len(data) > limit:
        raise InputError(f"{path} is too large: it has more than {limit // MEGABYTE} MB.")
    return data


def read_text(path: Path, limit: int = 16 * MEGABYTE) -> str:
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8 ({error.reason} at byte {error.start}).") from None


def read_json(path: Path, kind: type[Value], limit: int = 16 * MEGABYTE) -> Value:
    return parse_json(read_bytes(path, limit), kind, str(path))


def read_toml(path: Path, kind: type[Value]) -> Value:
    try:
        table = tomllib.loads(read_text(path, MEGABYTE))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read as TOML: {error}.") from None
    return convert(table, kind, str(path))


@contextmanager
def bounded(what: str, seconds: float = 5.0, num_bytes: int = 1000 * MEGABYTE) -> Iterator[None]:
    """Limit the processor time and memory of untrusted code. Raises InputError if it needs more.

    The limits work only in the main thread, and only on systems that have them.
    """
    if resource is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    limits = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGVTALRM, out_of_time)
    try:
        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        most = (
            in_use + num_bytes if limits[0] == resource.RLIM_INFINITY else min(in_use + num_bytes, limits[0])
        )
        resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        yield
    except OutOfTime:
        raise InputError(f"{what} takes more than {seconds:.0f} s of processor time. Fix it.") from None
    except MemoryError:
        raise InputError(f"{what} takes more than {num_bytes // MEGABYTE} MB of memory. Fix it.") from None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGVTALRM, before)


class OutOfTime(BaseException):
    """A time limit was reached. It is not an Exception, so the stopped code does not catch it."""


def out_of_time(number: int, frame: object) -> None:
    raise OutOfTime


def parse_json(data: bytes | str, kind: type[Value], where: str) -> Value:
    """Parse JSON as a msgspec type. Raises InputError that names the place of a mistake."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {explained(error, kind)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{where}: cannot be read as JSON: {error}.") from None


def convert(value: object, kind: type[Value], where: str, strict: bool = True) -> Value:
    """Convert a value to a msgspec type. strict: False if all given values are text."""
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {explained(error, kind)}") from None
    except RecursionError:
        raise InputError(f"{where}: tables are nested too deep.") from None


def explained(error: msgspec.ValidationError, kind: Any) -> str:
    """The place of the mistake in the value, the mistake, and the allowed values."""
    said, _, at = str(error).partition(" - at `")
    steps = re.findall(r"\.([^.\[\]`]+)|\[(\d+|\.\.\.)\]", at)
    for name, _ in steps:
        kind = inner(kind, name)
    named = "".join(f": {name}" if name else f" {int(n) + 1}" for name, n in steps if n != "...")
    where = f"{named.removeprefix(': ').strip()}: " if named else ""
    quoted = re.search(r"`([^`]+)`|'(.+)'", said)
    word = next(filter(None, quoted.groups()), "") if quoted else ""
    if said.startswith("Object missing"):
        return f"{where}{word} is missing. Add it."
    if said.startswith("Object contains"):
        return f"{where}unknown key {word!r}.{nearest(word, struct_of(kind).__struct_fields__)}"
    if said.startswith("Invalid enum"):
        return f"{where}{word!r} is not one of {', '.join(map(str, choices(kind)))}."
    for pattern, words in WORDS.items():
        said = re.sub(pattern, words, said)
    return f"{where}{said[0].lower()}{said[1:].replace('`', '').replace(' | nothing', '')}."


def inner(kind: Any, name: str) -> Any:
    """The type of a field, or the type of the members of a list or table if `name` is empty."""
    if name and (struct := struct_of(kind)):
        return typing.get_type_hints(struct, include_extras=True).get(name, object)
    parts = [part for part in flat(kind) if typing.get_origin(part) in (list, dict, tuple)]
    return typing.get_args(parts[0])[-1] if parts else object


def flat(kind: Any) -> list[Any]:
    """The alternatives of a type as a list, without annotations."""
    if typing.get_origin(kind) is typing.Annotated:
        return flat(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (typing.Union, type(int | str)):
        return [part for choice in typing.get_args(kind) for part in flat(choice)]
    return [kind]


def struct_of(kind: Any) -> Any:
    found = [part for part in flat(kind) if isinstance(part, type) and issubclass(part, msgspec.Struct)]
    return found[0] if found else msgspec.Struct


def choices(kind: Any) -> tuple[Any, ...]:
    return tuple(
        v for part in flat(kind) if typing.get_origin(part) is Literal for v in typing.get_args(part)
    )


def nearest(word: str, known: Collection[str]) -> str:
    """A hint for an unknown word."""
    close = get_close_matches(word, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" Choose from {', '.join(known)}."


def shortened(text: str | Path, most: int = 80) -> str:
    """The text with at most `most` characters. Both ends stay, because the end of a path names the file."""
    said = str(text)
    return said if len(said) <= most else f"{said[: most // 2]}...{said[-(most // 2) :]}"


def whole(least: int, most: int = LARGEST) -> Callable[[str], int]:
    """A type for argparse: a whole number from `least` to `most`."""

    def read(text: str) -> int:
        if re.fullmatch("[+-]?[0-9]{1,19}", text) and least <= int(text) <= most:
            return int(text)
        upper = "" if most == LARGEST else f" and at most {most}"
        raise ArgumentTypeError(f"{shortened(text)!r} is not a whole number of at least {least}{upper}.")

    return read


def number(least: float, most: float = inf) -> Callable[[str], float]:
    """A type for argparse: a finite number from `least` to `most`."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = inf
        if least <= found <= most and found < inf:  # also refuses nan
            return found
        upper = "" if most == inf else f" and at most {most:g}"
        raise ArgumentTypeError(f"{shortened(text)!r} is not a number of at least {least:g}{upper}.")

    return read


def utf8(value: str) -> str:
    """Text that every file can hold. A byte outside UTF-8 on the command line becomes a lone surrogate."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ArgumentTypeError(f"{shortened(value)!r} is not text in UTF-8.") from None
    return value


SEED, COUNT = whole(0), whole(1)
