"""Seed -> documents: the training text of the embedded models.

A corpus is a function (rng, progress) -> Document. progress, in [0, 1), is the share of its training stage
that is done. Corpora that start with small worlds use it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from random import Random

from bench.records import Contents, State
from bench.task.prompts import PROTOCOLS
from bench.task.wording import WORDINGS
from bench.task.world import draw_operations, draw_state, object_names, replay

Document = list[tuple[str, float]]  # pieces of text, each with the weight of its tokens in the loss
Corpus = Callable[[Random, float], Document]

ANSWER = 1.0
TEXT = 0.05  # unpredictable text: worlds, operations, questions
INSTRUCTION = PROTOCOLS["paper"].instruction + "\n\n"
NAMES = object_names()
PEOPLE = ("Anna", "Ben", "Carla", "David", "Emma", "Felix", "Grace", "Henry", "Ida", "Jack")
VERBS = ("sold", "saw", "likes", "wants", "washed", "drew", "praised", "forgot")
ADJECTIVES = ("old", "new", "red", "blue", "heavy", "small", "cheap", "fine")
WORDING = WORDINGS["base"]


def answered(description: str, statement: Document) -> Document:
    """A description and its statement, in the form of the task."""
    return [(f"Description: {description}\n", TEXT), ("Statement:", TEXT), *statement, ("\n\n", ANSWER)]


def clause(box: int, contents: Contents, end: str) -> Document:
    """One box and its contents. The contents are hard to predict."""
    stem = f" {WORDING.name_box(box)} contains"
    text = f" {WORDING.describe_box(box, contents)}{end}"
    return [(stem, TEXT), (text.removeprefix(stem), ANSWER)]


def stated(state: State) -> Document:
    """All boxes in one sentence, clause by clause."""
    *others, last = enumerate(state)
    document = [piece for box, contents in others for piece in clause(box, contents, ",")]
    return document + clause(*last, ".")


def shots(rng: Random, examples: Sequence[Document], instruction: float) -> Document:
    """Few-shot text, sometimes with the instruction. EOS replaces the last blank line.

    The task's prompt ends with the description, and its answer begins with "Statement". So half of the last
    descriptions have no line break after them.
    """
    *earlier, ((description, weight), *answer, _) = examples
    description = description.rstrip("\n") + rng.choice(("\n", ""))
    heading = [(INSTRUCTION, TEXT)] if rng.random() < instruction else []
    return [*heading, *itertools.chain(*earlier), (description, weight), *answer]


# --- the base corpus: restated descriptions, questions, stories. No box changes its contents.


def restated(rng: Random, num_boxes: int, num_distractors: int) -> Document:
    """A description, sentences that change nothing, and the description again as a statement."""
    sentence = WORDING.state_all(draw_state(rng, NAMES, num_boxes))
    distractors = [distractor(rng, num_boxes) for _ in range(num_distractors)]
    return answered(" ".join([sentence, *distractors]), [(f" {sentence}", ANSWER)])


def distractor(rng: Random, num_boxes: int) -> str:
    person, verb, box = rng.choice(PEOPLE), rng.choice(VERBS), WORDING.name_box(rng.randrange(num_boxes))
    objects = " and ".join(f"the {name}" for name in rng.sample(NAMES, rng.choice((1, 1, 1, 2, 3))))
    return rng.choice(
        (
            f"{person} {verb} {objects} in {box}.",
            f"{person} {verb} {objects}.",
            f"{person} {verb} {box}.",
            f"The {rng.choice(NAMES)} near {box} is {rng.choice(ADJECTIVES)}.",
        )
    )


def short_restatements(rng: Random, progress: float) -> Document:
    num_boxes = rng.randint(2, 7)
    examples = [restated(rng, num_boxes, 0) for _ in range(rng.choice((1, 1, 2)))]
    return shots(rng, examples, instruction=0.2)


def distracted_restatements(rng: Random, progress: float) -> Document:
    num_boxes = rng.randint(3, 7)
    return shots(rng, [restated(rng, num_boxes, rng.randint(0, 6))], instruction=0.2)


def prompts(rng: Random, progress: float) -> Document:
    """Three or four descriptions and statements. They are longer than the task's own prompts."""
    return shots(
        rng, [restated(rng, 7, rng.randint(0, 9)) for _ in range(rng.choice((3, 4, 4)))], instruction=0.9
    )


def plain_prompts(rng: Random, progress: float) -> Document:
    """Prompts without distractors."""
    return shots(rng, [restated(rng, 7, 0) for _ in range(rng.choice((3, 4, 4)))], instruction=0.9)


def questions(rng: Random, progress: float) -> Document:
    """A description, then questions by box and by object."""
    state = draw_state(rng, NAMES, rng.randint(2, 7))
    document: Document = [(WORDING.describe(state), TEXT)]
    places = [(name, box) for box, contents in enumerate(state) for name in contents]
    for _ in range(rng.randint(1, 4)):
        if places and rng.random() < 0.5:
            name, box = rng.choice(sorted(places))
            document += [(f" Where is the {name}? In", TEXT), (f" {WORDING.name_box(box)}.", ANSWER)]
        else:
            box = rng.randrange(len(state))
            document += clause(box, state[box], ".")
    return document


def stories(rng: Random, progress: float) -> Document:
    """People who own things, and questions about them."""
    owners = rng.sample(PEOPLE, rng.randint(2, 6))
    things = rng.sample(NAMES, len(owners))
    kinds = [rng.choice(ADJECTIVES) for _ in owners]
    facts = zip(owners, kinds, things, strict=True)
    document: Document = [
        (" ".join(f"{owner} has the {kind} {thing}." for owner, kind, thing in facts), TEXT)
    ]
    for number in rng.sample(range(len(owners)), rng.randint(1, len(owners))):
        owner, kind, thing = owners[number], kinds[number], things[number]
        stem, answer = rng.choice(
            (
                (f" Who has the {thing}?", f" {owner}."),
                (f" {owner} has the", f" {kind} {thing}."),
                (f" Is the {thing} {kind}?", " Yes."),
            )
        )
        document += [(stem, TEXT), (answer, ANSWER)]
    return document


# --- the corpus of tiny-tracking: the task itself


def small_size(rng: Random, progress: float) -> tuple[int, int]:
    """Boxes and operations: first one operation on two or three boxes, later up to three on four."""
    return rng.randint(2, 3 + round(progress)), rng.randint(1, 1 + round(2 * progress))


def full_size(rng: Random, progress: float) -> tuple[int, int]:
    """First up to 4 boxes and 3 operations; in the second half up to 7 and 9. Small worlds still appear."""
    grown = min(1.0, 2 * progress)
    return rng.randint(2, 4 + round(3 * grown)), rng.randint(0, 3 + round(6 * grown))


def tracked(rng: Random, num_boxes: int, num_operations: int) -> Document:
    """A description with operations, and the statement of the final contents."""
    initial = draw_state(rng, NAMES, num_boxes)
    operations = draw_operations(rng, NAMES, initial, num_operations)
    *_, final = replay(initial, operations)
    return answered(" ".join([WORDING.describe(initial), *map(WORDING.narrate, operations)]), stated(final))


def reported(rng: Random, num_boxes: int, num_operations: int) -> Document:
    """A tracked world with a report of each changed box after each operation."""
    initial = draw_state(rng, NAMES, num_boxes)
    operations = draw_operations(rng, NAMES, initial, num_operations)
    states = [*replay(initial, operations)]
    document: Document = [(f"Description: {WORDING.describe(initial)}", TEXT)]
    for operation, state in zip(operations, states[1:], strict=True):
        document.append((f" {WORDING.narrate(operation)}", TEXT))
        for box in operation.boxes:
            document += clause(box, state[box], ".")
    return [*document, ("\nStatement:", TEXT), *stated(states[-1])]


def small_tracked_worlds(rng: Random, progress: float) -> Document:
    return shots(rng, [tracked(rng, *small_size(rng, progress))], instruction=0.0)


def small_reported_worlds(rng: Random, progress: float) -> Document:
    return reported(rng, *small_size(rng, progress))


def tracked_worlds(rng: Random, progress: float) -> Document:
    return shots(rng, [tracked(rng, *full_size(rng, progress))], instruction=0.1)


def reported_worlds(rng: Random, progress: float) -> Document:
    return reported(rng, *full_size(rng, progress))


def tracked_prompts(rng: Random, progress: float) -> Document:
    """The form of the task: examples first, then 7 boxes and up to 12 operations."""
    examples = [tracked(rng, 7, rng.randint(0, 12)) for _ in range(rng.choice((2, 3, 3)))]
    return shots(rng, examples, instruction=0.9)
