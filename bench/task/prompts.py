"""Example -> Prompt, for base and chat models. Protocol -> the Constraint of answers.

Source of the instruction and the two examples: Kim, Schuster & Toshniwal (2024), arXiv:2405.21068,
released scripts, branch shtoshni/outlines. They are data of the protocol.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache

from bench.records import Contents, Example, Operation, Prompt, Query, Scenario, Turn
from bench.task.examples import examples
from bench.task.wording import WORDINGS
from bench.task.world import MAX_OBJECTS

Render = Callable[[Sequence[Turn]], str]  # makes text of turns, for example with a chat template
Choices = tuple[tuple[Contents, ...], ...]  # per box, the true contents first

STATEMENT = "Statement: "  # the beginning of every answer; it is not part of the prompt

SHOTS = Scenario(
    "shots",
    initial=tuple(
        frozenset(names.split())
        for names in (
            "car", "cross", "bag machine", "paper string", "bill", "apple cash glass", "bottle map",
        )
    ),
    operations=(
        Operation(frozenset({"car"}), source=0),
        Operation(frozenset({"paper", "string"}), source=3),
        Operation(frozenset({"plane"}), target=0),
        Operation(frozenset({"map"}), source=6, target=2),
        Operation(frozenset({"bill"}), source=4),
        Operation(frozenset({"coat"}), target=3),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol: the instruction, the allowed answers, and the limit of tokens.

    contents: regex for the text after the verb of a clause, including the leading space. <name> stands for
    the name of an object in the version of the task.
    """

    name: str
    instruction: str
    contents: str
    max_new_tokens: int

    @property
    def digest(self) -> str:
        """sha256 over all fields of the protocol."""
        said = [asdict(self), [[turn.role, turn.content] for turn in shot_turns("base")]]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


INSTRUCTION = (
    'Given the description after "Description:", write a true statement about all boxes and their contents '
    'to the description after "Statement:".'
)
WELL_FORMED = " (nothing|the <name>( and the <name>){0,2})"  # with at most as many objects as a box can hold

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        # As released: any words. A long answer is cut.
        Protocol("paper", INSTRUCTION, contents="( [a-zA-Z]+)*", max_new_tokens=100),
        # The model's own thinking, then the statement of "strict".
        Protocol("think", INSTRUCTION, WELL_FORMED, max_new_tokens=256),
        # Only well-formed contents, with room for all objects.
        Protocol("strict", INSTRUCTION, WELL_FORMED, max_new_tokens=256),
    )
}


@dataclass(frozen=True, slots=True)
class Constraint:
    """The form of an answer: one fixed regex for all prompts, and the limit in tokens."""

    regex: str
    max_new_tokens: int

    def matches(self, text: str) -> bool:
        return re.fullmatch(self.regex, text) is not None


@cache
def constraint(protocol: Protocol, version: str = "base", num_boxes: int = 7) -> Constraint:
    """The constraint of a protocol for one version of the task.

    A protocol's limit is for seven boxes in the words of the base version. For longer statements, it grows in
    proportion to the statement that all boxes are empty.
    """
    wording = WORDINGS[version]
    contents = protocol.contents.replace("<name>", wording.name)
    clauses = []
    for box in range(num_boxes):
        before, after = wording.clause.format(box=wording.name_box(box), objects="\0").split(" \0")
        clauses.append(re.escape(before).replace(r"\ ", " ") + contents + re.escape(after))
    longer = max(1.0, empty_length(version, num_boxes) / empty_length("base", 7))
    return Constraint(STATEMENT + ", ".join(clauses) + r"\.", round(protocol.max_new_tokens * longer))


def empty_length(version: str, num_boxes: int) -> int:
    """The number of characters in the statement that all boxes are empty."""
    return len(WORDINGS[version].state_all((frozenset(),) * num_boxes))


@cache
def shot_turns(version: str) -> tuple[Turn, ...]:
    """The two worked examples in the words of a version of the task, before and after six operations."""
    first, *_, last = examples(Scenario(SHOTS.id, SHOTS.initial, SHOTS.operations, version))
    return tuple(
        turn
        for shot in (first, last)
        for turn in (
            Turn("user", f"Description: {shot.description}"),
            Turn("assistant", gold_statement(shot)),
        )
    )


def gold_statement(example: Example) -> str:
    """The right answer in the form that a model must write."""
    return STATEMENT + WORDINGS[example.version].state_all(tuple(query.target for query in example.queries))


def turns(example: Example, protocol: Protocol) -> tuple[Turn, ...]:
    """The instruction, two worked examples, and the description of the example."""
    return (
        Turn("system", protocol.instruction),
        *shot_turns(example.version),
        Turn("user", f"Description: {example.description}"),
    )


def as_text(said: Sequence[Turn]) -> str:
    """Turns as plain text for a base model. It ends with the description, without a line break."""
    ends = {"system": "\n\n", "user": "\n", "assistant": "\n\n"}
    return "".join(turn.content + ends[turn.role] for turn in said).removesuffix("\n")


def build(example: Example, protocol: Protocol, render: Render = as_text) -> Prompt:
    """The prompt of one example. Its drafts are the present and earlier contents of each box."""
    return prompt(example, protocol, render, ((query.target, *query.earlier) for query in example.queries))


def build_choices(example: Example, protocol: Protocol, render: Render = as_text) -> Prompt:
    """The prompt of an example. Its drafts are the choices."""
    return prompt(example, protocol, render, choices(example))


def prompt(
    example: Example, protocol: Protocol, render: Render, drafts: Iterable[Sequence[Contents]]
) -> Prompt:
    """The prompt of an example, with drafts in the words of the example's version."""
    wording = WORDINGS[example.version]
    clauses = tuple(
        tuple(wording.describe_box(query.box, contents) for contents in of_box)
        for query, of_box in zip(example.queries, drafts, strict=True)
    )
    return Prompt(example.id, example.scenario_id, render(turns(example, protocol)), clauses)


def choices(example: Example) -> Choices:
    """For each box, the contents that a model chooses from: the true contents and plausible errors.

    Two or more different choices per box, unless the world is empty. Only the description matters.
    """
    return tuple(tuple(dict.fromkeys(choices_of(query, example))) for query in example.queries)


def choices_of(query: Query, example: Example) -> Iterator[Contents]:
    """The true contents, earlier contents (newest first), another box's, one object missing, one extra.

    The other box is one with few objects, because a short clause is likelier than a long one. The missing or
    extra object is the last one, so that the clause shares most of its tokens with the true clause.
    """
    yield query.target
    yield from query.earlier
    others = {other.target for other in example.queries} - {query.target, frozenset()}
    if others:
        yield min(others, key=lambda contents: (len(contents), sorted(contents)))
    if query.target:
        yield query.target - {max(query.target)}
    strangers = frozenset().union(*(other.mentioned for other in example.queries)) - query.target
    if strangers and len(query.target) < MAX_OBJECTS:
        yield query.target | {max(strangers)}
