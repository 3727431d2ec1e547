"""settings, prompt -> key -> Completion. Rows are checked when they are read, and never replaced.

A key covers everything that determines a completion, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec

from bench.inputs import InputError, convert, parse_json
from bench.records import Completion
from bench.store.database import explained, open_database, open_to_read, to_json
from bench.task.prompts import Constraint

FIELDS = "key, text, finish_reason, prompt_tokens, token_ids, digest"
Row = tuple[Any, ...]
Tokens = tuple[Annotated[int, msgspec.Meta(ge=0, lt=2**31)], ...]
RUN_FIELDS = "id, settings_digest, model, started, settings, metadata, counters"
OF_KEYS = f"SELECT {FIELDS} FROM completions WHERE key IN (SELECT value FROM json_each(?))"
KEY_VERSION = 1  # raise it when the meaning of a key changes, so that older rows are not found


def digest(value: object) -> str:
    """sha256 of canonical JSON. Other values, such as bytes in damaged rows, enter by their repr."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Settings:
    """Everything except the prompt that determines a completion.

    model: a fingerprint of JSON values: resolved commit or weights digest, adapter, dtype, quantization,
    attention, tokenizer digest, chat. engine: name and version.
    """

    model: Mapping[str, object]
    constraint: Constraint
    engine: str

    def as_dict(self) -> dict[str, object]:
        """The settings as one flat table, which can be compared line by line."""
        return {
            "key_version": KEY_VERSION,
            **{f"model.{name}": value for name, value in self.model.items()},
            "regex": self.constraint.regex,
            "max_new_tokens": self.constraint.max_new_tokens,
            "engine": self.engine,
        }

    @cached_property
    def digest(self) -> str:
        return digest(self.as_dict())

    def key(self, prompt_text: str) -> str:
        """The key of one completion. The prompt enters exactly as the model gets it."""
        return key_of(self.digest, prompt_text)


def key_of(settings_digest: str, prompt_text: str) -> str:
    return digest([settings_digest, prompt_text])


@dataclass(frozen=True, slots=True)
class Run:
    """One evaluation of one model. Only the settings are part of its rows' keys.

    id: id of the whole run, the same for all its models. metadata: JSON values such as library versions,
    device, batch size and state of the working tree. counters: the cost of decoding so far.
    """

    id: str
    model: str
    settings: Settings
    metadata: Mapping[str, object] = field(default_factory=dict)
    counters: Mapping[str, float] = field(default_factory=dict)


class Store:
    """Completions in a SQLite file, or in memory for the path ":memory:".

    readonly: write nothing, not even beside the file, for a store on a read-only mount. notices: sentences
    for the user about this store: a network file system, a recovery, rows set aside.
    """

    def __init__(self, path: Path | str, readonly: bool = False) -> None:
        self.path = path
        self.database, self.notices = open_to_read(path) if readonly else open_database(path)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.database.close()

    def get(self, keys: Sequence[str]) -> dict[str, Completion]:
        """The stored completions among these keys. A row that does not match its digest is set aside."""
        rows = self.read(OF_KEYS, to_json(keys))
        found = {row[0]: answer for row in rows if (answer := completion(row))}
        if len(found) < len(rows):
            self.set_aside([row[0] for row in rows])
        return found

    def add(self, rows: Sequence[tuple[str, Completion]], run: Run) -> int:
        """Store completions in one transaction. Returns the number of new ones. They are then on disk.

        The first answer of a key stays. A different second answer is recorded as a disagreement.
        Raises OSError if the disk is full. Everything added before is kept.
        """
        tables = map(to_json, (run.settings.as_dict(), run.metadata, run.counters))
        with self.transaction():
            number = self.keep_run((run.id, run.settings.digest, run.model, now(), *tables))
            return sum(self.insert(key, answer, number) for key, answer in rows)

    def insert(self, key: str, answer: Completion, run: int) -> bool:
        token_ids = json.dumps(answer.token_ids)
        contents = (key, answer.text, answer.finish_reason, answer.prompt_tokens, token_ids)
        row = (*contents, digest(contents))
        into = f"INSERT OR IGNORE INTO completions ({FIELDS}, run) VALUES (?, ?, ?, ?, ?, ?, ?)"
        if self.database.execute(into, (*row, run)).rowcount:
            return True
        kept = self.database.execute(f"SELECT {FIELDS} FROM completions WHERE key = ?", (key,)).fetchone()
        if not is_intact(kept):
            self.move_to_quarantine(kept)
            return self.insert(key, answer, run)
        if kept != row:
            self.database.execute(
                "INSERT OR IGNORE INTO disagreements (key, text, finish_reason, run, seen) "
                "VALUES (?, ?, ?, ?, ?)",
                (key, answer.text, answer.finish_reason, run, now()),
            )
        return False

    def keep_run(self, row: Row) -> int:
        """Write or update the record of a run. row: RUN_FIELDS. Returns the run's number in this store."""
        (number,) = self.database.execute(
            f"INSERT INTO runs ({RUN_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id, settings_digest) DO UPDATE "
            "SET metadata = excluded.metadata, counters = excluded.counters RETURNING number",
            row,
        ).fetchone()
        return int(number)

    def runs(self, settings: Settings | None = None) -> list[dict[str, Any]]:
        """The runs, oldest first, of all models or under some settings, each with its number of rows.

        A run is a dict: id, settings_digest, model, started, rows, settings, metadata, counters.
        """
        made = "(SELECT count(*) FROM completions WHERE run = runs.number)"
        rows = self.read(
            f"SELECT {made}, {RUN_FIELDS} FROM runs WHERE ?1 IS NULL OR settings_digest = ?1 ORDER BY number",
            settings.digest if settings else None,
        )
        names = ("rows", *RUN_FIELDS.split(", "))
        return [
            dict(zip(names, (row[0], *map(str, row[1:5]), *map(readable, row[5:])), strict=True))
            for row in rows
        ]

    def problems(self) -> list[str]:
        """Sentences on the problems of the stored answers, whatever process found them."""
        [(set_aside,)] = self.read("SELECT count(*) FROM quarantine")
        [(disagreements,)] = self.read("SELECT count(*) FROM disagreements")
        said = []
        if set_aside:
            said.append(f"{set_aside} damaged completions were set aside and are computed again")
        if disagreements:
            said.append(
                f"{disagreements} completions were different when computed again: decoding is not "
                "deterministic. The first answers are kept"
            )
        return said

    def set_aside(self, keys: Sequence[str]) -> None:
        """Check again under a lock and set damaged rows aside. Another process may have replaced them."""
        with self.transaction():
            damaged = [row for row in self.read(OF_KEYS, to_json(keys)) if not is_intact(row)]
            for row in damaged:
                self.move_to_quarantine(row)
        self.notices.append(f"{self.path}: {len(damaged)} damaged completions were set aside")

    def move_to_quarantine(self, row: Row) -> None:
        self.database.execute("DELETE FROM completions WHERE key = ?", (row[0],))
        self.database.execute(
            "INSERT INTO quarantine (key, row, seen) VALUES (?, ?, ?)",
            (str(row[0]), json.dumps(row, default=repr), now()),
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. IMMEDIATE, because SQLite refuses a reader that becomes a writer."""
        try:
            self.database.execute("BEGIN IMMEDIATE")
            yield
            self.database.execute("COMMIT")
        except BaseException as error:
            if self.database.in_transaction:
                self.database.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise OSError(explained(error, self.path)) from error
            raise

    def read(self, query: str, *parameters: object) -> list[Row]:
        try:
            return self.database.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise OSError(explained(error, self.path)) from error


def is_intact(row: Row) -> bool:
    return completion(row) is not None


def completion(row: Row) -> Completion | None:
    """The completion of a row; None if it does not match its digest, or is invalid with a forged digest."""
    key, text, finish_reason, prompt_tokens, token_ids, made = row
    if digest(row[:-1]) != made or not isinstance(key, str):
        return None
    try:
        tokens = parse_json(token_ids, Tokens, "token_ids")
        fields = {"text": text, "finish_reason": finish_reason, "prompt_tokens": prompt_tokens}
        found = convert(fields, Completion, "completion")
    except (InputError, TypeError):
        return None
    return replace(found, token_ids=tokens) if found.prompt_tokens >= 0 else None


def readable(text: object) -> dict[str, Any]:
    """A JSON table recorded by a run; empty if damaged, because the rows have their own digests."""
    try:
        return parse_json(str(text), dict[str, Any], "run")
    except InputError:
        return {}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
