"""Example -> Prompt, for base and chat models. PROTOCOLS is the table of protocols.

Source of the instruction and the two examples: Kim, Schuster & Toshniwal (2024), arXiv:2405.21068,
released scripts, branch shtoshni/outlines. They are data of the protocol.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache

from bench.records import Example, Operation, Prompt, Scenario, Turn
from bench.task.examples import examples
from bench.task.wording import WORDINGS

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

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        # As released: any words. A long answer is cut.
        Protocol("paper", INSTRUCTION, contents="( [a-zA-Z]+)*", max_new_tokens=100),
        # The model's own thinking, then the statement of "strict".
        Protocol(
            "think", INSTRUCTION, contents=" (nothing|the <name>( and the <name>){0,2})", max_new_tokens=256
        ),
        # Only well-formed contents, with at most as many objects as a box can hold, and room for all of them.
        Protocol(
            "strict", INSTRUCTION, contents=" (nothing|the <name>( and the <name>){0,2})", max_new_tokens=256
        ),
    )
}


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


def build(example: Example, protocol: Protocol, render: Callable[[Sequence[Turn]], str] = as_text) -> Prompt:
    """The prompt of one example. render: makes text of the turns, for example with a chat template."""
    wording = WORDINGS[example.version]
    drafts = tuple(
        tuple(wording.describe_box(query.box, contents) for contents in (query.target, *query.earlier))
        for query in example.queries
    )
    return Prompt(example.id, example.scenario_id, render(turns(example, protocol)), drafts)
