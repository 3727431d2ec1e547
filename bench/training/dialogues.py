"""Seed -> documents: the corpus of tiny-chat, and its chat template.

A user describes boxes or people and asks questions. The assistant answers. No box changes its contents.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from random import Random

from bench.records import State
from bench.task.world import draw_state
from bench.training.corpora import (
    ADJECTIVES,
    ANSWER,
    INSTRUCTION,
    NAMES,
    PEOPLE,
    TEXT,
    WORDING,
    Document,
    restated,
)

# A role's name follows a space, so that it is one token.
TEMPLATE = (
    "{% for message in messages %} {{ message['role'] }}\n{{ message['content'] }}\n\n{% endfor %}"
    "{% if add_generation_prompt %} assistant\n{% endif %}"
)
Exchange = tuple[str, Document]  # the user's text, the assistant's answer


def dialogue(exchanges: Sequence[Exchange], system: bool = False) -> Document:
    """Turns in the chat template. EOS replaces the last blank line."""
    heading: Document = [(f" system\n{INSTRUCTION}", TEXT)] if system else []
    turns = [
        [(f" user\n{said}\n\n assistant\n", TEXT), *answer, ("\n\n", ANSWER)] for said, answer in exchanges
    ]
    return [*heading, *itertools.chain(*turns)][:-1]


def asked(said: str, answer: str) -> Exchange:
    return said, [(answer, ANSWER)]


def box_dialogues(rng: Random, progress: float) -> Document:
    """A description, then questions about it."""
    state = draw_state(rng, NAMES, rng.randint(2, 7))
    (first, answer), *others = [box_exchange(rng, state) for _ in range(rng.randint(1, 4))]
    return dialogue([(f"{WORDING.describe(state)} {first}", answer), *others])


def box_exchange(rng: Random, state: State) -> Exchange:
    box = rng.randrange(len(state))
    asking = rng.choice(("Please tell me what", "What"))
    what = asked(f"{asking} is in {WORDING.name_box(box)}?", f"{WORDING.describe_box(box, state[box])}.")
    if not state[box]:
        return what
    name, other = rng.choice(sorted(state[box])), rng.randrange(len(state))
    is_there = "Yes." if other == box else f"No. It is in {WORDING.name_box(box)}."
    return rng.choice(
        (
            what,
            asked(f"Where is the {name}?", f"The {name} is in {WORDING.name_box(box)}."),
            asked(f"Is the {name} in {WORDING.name_box(other)}?", is_there),
            asked("Please tell me all of it.", WORDING.state_all(state)),
        )
    )


def people_dialogues(rng: Random, progress: float) -> Document:
    """People who own things, questions about them, and thanks."""
    owners = rng.sample(PEOPLE, rng.randint(2, 6))
    things = rng.sample(NAMES, len(owners))
    owned = {owner: (rng.choice(ADJECTIVES), thing) for owner, thing in zip(owners, things, strict=True)}
    facts = " ".join(f"{owner} has the {kind} {thing}." for owner, (kind, thing) in owned.items())
    exchanges = [asked(facts, "Okay.")]
    for owner in rng.sample(owners, rng.randint(1, len(owners))):
        kind, thing = owned[owner]
        exchanges.append(
            rng.choice(
                (
                    asked(f"Who has the {thing}?", f"{owner} has the {kind} {thing}."),
                    asked(f"What does {owner} have?", f"The {kind} {thing}."),
                )
            )
        )
    return dialogue([*exchanges, asked("Thanks.", "Sure.")] if rng.random() < 0.3 else exchanges)


def restated_in_turns(rng: Random, num_boxes: int, distractors: Sequence[int], system: float) -> Document:
    """The base's restatements as turns. system: the share of dialogues whose instruction is a system turn."""
    exchanges = []
    for number in distractors:
        (description, _), *answer, _ = restated(rng, num_boxes, number)
        exchanges.append((description.rstrip("\n"), answer))
    return dialogue(exchanges, system=rng.random() < system)


def short_turns(rng: Random, progress: float) -> Document:
    return restated_in_turns(rng, rng.randint(2, 7), [0] * rng.choice((1, 1, 2)), system=0.2)


def distracted_turns(rng: Random, progress: float) -> Document:
    return restated_in_turns(rng, rng.randint(3, 7), [rng.randint(0, 6)], system=0.2)


def prompts_in_turns(rng: Random, progress: float) -> Document:
    """Three or four descriptions and statements, like the base's prompts."""
    distractors = [rng.randint(0, 9) for _ in range(rng.choice((3, 4, 4)))]
    return restated_in_turns(rng, 7, distractors, system=0.9)
