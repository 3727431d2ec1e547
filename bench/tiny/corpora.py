"""Seed -> documents: what the embedded models read.

A corpus is a function (rng, progress) -> Document. progress, in [0, 1), is how far its stage of the
training has come, for corpora that start with small worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from bench.boxes.generator import draw_operation, draw_state, object_names
from bench.boxes.wording import WORDINGS
from bench.boxes.world import replay
from bench.records import Operation, State

Document = list[tuple[str, float]]  # pieces of text, each with the weight of its tokens in the loss
Corpus = Callable[[Random, float], Document]

ANSWER = 1.0
TEXT = 0.05  # what cannot be foretold: worlds, operations, questions
INSTRUCTION = (
    'Given the description after "Description:", write a true statement about all boxes and their contents '
    'to the description after "Statement:".\n\n'
)
NAMES = object_names()
PEOPLE = ("Anna", "Ben", "Carla", "David", "Emma", "Felix", "Grace", "Henry", "Ida", "Jack")
VERBS = ("sold", "saw", "likes", "wants", "washed", "drew", "praised", "forgot")
ADJECTIVES = ("old", "new", "red", "blue", "heavy", "small", "cheap", "fine")
WORDING = WORDINGS["base"]


def answered(description: str, statement: str) -> Document:
    """A description and its statement, in the form of the task."""
    return [(f"Description: {description}\nStatement:", TEXT), (f" {statement}\n\n", ANSWER)]


def shots(examples: Sequence[Document], instruction: bool) -> Document:
    """Few-shot text, with the blank line after the last answer left to EOS."""
    pieces = [piece for example in examples for piece in example]
    text, weight = pieces[-1]
    return [(INSTRUCTION, TEXT)] * instruction + pieces[:-1] + [(text.rstrip("\n"), weight)]


# --- the base corpus: descriptions restated, questions, stories; nothing in it changes a box's contents


def restated(rng: Random, num_boxes: int, num_distractors: int) -> Document:
    """A description, sentences that change nothing, and the description again as a statement."""
    sentence = WORDING.describe(draw_state(rng, NAMES, num_boxes))
    distractors = [distractor(rng, num_boxes) for _ in range(num_distractors)]
    return answered(" ".join([sentence, *distractors]), sentence)


def distractor(rng: Random, num_boxes: int) -> str:
    person, verb, box = rng.choice(PEOPLE), rng.choice(VERBS), WORDING.name_box(rng.randrange(num_boxes))
    objects = " and ".join(f"the {name}" for name in rng.sample(NAMES, rng.choice((1, 1, 1, 2, 3))))
    return rng.choice((
        f"{person} {verb} {objects} in {box}.",
        f"{person} {verb} {objects}.",
        f"{person} {verb} {box}.",
        f"The {rng.choice(NAMES)} near {box} is {rng.choice(ADJECTIVES)}.",
    ))


def short_restatements(rng: Random, progress: float) -> Document:
    num_boxes = rng.randint(2, 7)
    examples = [restated(rng, num_boxes, 0) for _ in range(rng.choice((1, 1, 2)))]
    return shots(examples, instruction=rng.random() < 0.2)


def distracted_restatements(rng: Random, progress: float) -> Document:
    num_boxes = rng.randint(3, 7)
    return shots([restated(rng, num_boxes, rng.randint(0, 6))], instruction=rng.random() < 0.2)


def prompts(rng: Random, progress: float) -> Document:
    """Three descriptions and statements, as long as the task's own prompts."""
    return shots([restated(rng, 7, rng.randint(0, 9)) for _ in range(3)], instruction=rng.random() < 0.9)


def questions(rng: Random, progress: float) -> Document:
    """A description, then look-ups by box and by object."""
    state = draw_state(rng, NAMES, rng.randint(2, 7))
    document: Document = [(WORDING.describe(state), TEXT)]
    places = [(name, box) for box, contents in enumerate(state) for name in contents]
    for _ in range(rng.randint(1, 4)):
        if places and rng.random() < 0.5:
            name, box = rng.choice(sorted(places))
            document += [(f" Where is the {name}? In", TEXT), (f" {WORDING.name_box(box)}.", ANSWER)]
        else:
            box = rng.randrange(len(state))
            clause = WORDING.describe_box(box, state[box])
            stem = f" {WORDING.name_box(box)} contains"
            document += [(stem, TEXT), (f" {clause}."[len(stem) :], ANSWER)]
    return document


def stories(rng: Random, progress: float) -> Document:
    """People who own things, and questions about them."""
    owners = rng.sample(PEOPLE, rng.randint(2, 6))
    things = rng.sample(NAMES, len(owners))
    kinds = [rng.choice(ADJECTIVES) for _ in owners]
    facts = zip(owners, kinds, things, strict=True)
    document: Document = [(" ".join(f"{owner} has the {kind} {thing}." for owner, kind, thing in facts), TEXT)]
    for number in rng.sample(range(len(owners)), rng.randint(1, len(owners))):
        owner, kind, thing = owners[number], kinds[number], things[number]
        stem, answer = rng.choice((
            (f" Who has the {thing}?", f" {owner}."),
            (f" {owner} has the", f" {kind} {thing}."),
            (f" Is the {thing} {kind}?", " Yes."),
        ))
        document += [(stem, TEXT), (answer, ANSWER)]
    return document


# --- the corpus of tiny-tracking: the task itself


def draw_operations(rng: Random, state: State, num_operations: int) -> tuple[list[Operation], State]:
    """Operations of the task, and the state that they lead to."""
    operations = []
    for _ in range(num_operations):
        operation = draw_operation(rng, NAMES, state)
        *_, state = replay(state, [operation])
        operations.append(operation)
    return operations, state


def tracked(rng: Random, num_boxes: int, num_operations: int) -> Document:
    """A description with operations, and the statement of what they lead to."""
    initial = draw_state(rng, NAMES, num_boxes)
    operations, final = draw_operations(rng, initial, num_operations)
    description = " ".join([WORDING.describe(initial), *map(WORDING.narrate, operations)])
    return answered(description, WORDING.describe(final))


def growing_worlds(rng: Random, progress: float) -> Document:
    """From two boxes and one operation to seven boxes and twelve, the small ones never left out."""
    num_boxes = rng.randint(2, 2 + round(5 * min(1, 1.5 * progress)))
    num_operations = rng.randint(0, 1 + round(11 * min(1, 1.5 * progress)))
    return shots([tracked(rng, num_boxes, num_operations)], instruction=rng.random() < 0.1)


MIXTURES: dict[str, tuple[tuple[float, Corpus], ...]] = {
    "short": ((0.7, short_restatements), (0.2, questions), (0.1, stories)),
    "distracted": ((0.35, short_restatements), (0.45, distracted_restatements), (0.1, questions), (0.1, stories)),
    "prompts": ((0.8, prompts), (0.1, distracted_restatements), (0.05, questions), (0.05, stories)),
    "growing": ((1.0, growing_worlds),),
}


def draw(mixture: str, rng: Random, progress: float) -> Document:
    """One document, its corpus drawn by weight."""
    weights, corpora = zip(*MIXTURES[mixture], strict=True)
    return rng.choices(corpora, weights)[0](rng, progress)
