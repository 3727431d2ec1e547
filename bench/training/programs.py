"""Seed -> documents: the corpus of tiny-code, small programs with state and their output.

Each program has its own syntax: words, order of arguments, brackets, separators. A model that reads only a
few syntaxes learns to run programs in them but gains little on text (reports/tiny). Names and numbers follow
a space, so they are the same tokens as in text. A program has at most six boxes, so none is the world of an
evaluation example.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from random import Random

from bench.records import Contents, Operation, State
from bench.task.wording import name_objects
from bench.task.world import draw_operations, draw_state, replay
from bench.training.corpora import (
    ANSWER,
    INSTRUCTION,
    NAMES,
    TEXT,
    WORDING,
    Corpus,
    Document,
    answered,
    clause,
    full_size,
    shots,
    small_size,
    stated,
)

MAX_BOXES = 6

# --- syntaxes


def listed(contents: Contents) -> str:
    return ",".join(f" {name}" for name in sorted(contents))


def in_words(contents: Contents) -> str:
    return f" {name_objects(contents)}"


def as_set(contents: Contents) -> str:
    return f" {{{listed(contents)}}}"


def joined(contents: Contents) -> str:
    return " " + " and ".join(sorted(contents))


VERBS = {
    "put": (" Put", " put", " add", " insert", " place"),
    "move": (" Move", " move", " transfer", " shift", " pass"),
    "remove": (" Remove", " remove", " pop", " delete", " take"),
}
SOURCES = (" from", " from_=", " source=", " -", " out=")
TARGETS = {
    "put": (" into", " in", " into=", " target=", " +"),
    "move": (" to", " to=", " target=", " +", " ->"),
}
BOXES = (" {}", " box[ {}]", " box {}", " Box {}")
OBJECTS = (listed, as_set, joined, in_words)
BRACKETS = (("", ""), ("(", ")"), ("[", "]"), (" {", "}"), (":", ""))
COMMAS = (",", ",", ";", "")  # a comma twice as often
ENDS = (";", "\n", " |", "", ".")


@dataclass(frozen=True, slots=True)
class Syntax:
    """The syntax of a program's operations. order: order of objects, source and target."""

    verbs: Mapping[str, str]
    source: str
    targets: Mapping[str, str]
    box: str
    objects: Callable[[Contents], str]
    brackets: tuple[str, str]
    comma: str
    end: str
    order: Sequence[int]

    def write(self, operation: Operation) -> str:
        """A statement with a leading space and without its end mark."""
        source, target = operation.source, operation.target
        parts = (
            self.objects(operation.objects),
            "" if source is None else self.source + self.box.format(source),
            "" if target is None else self.targets[operation.kind] + self.box.format(target),
        )
        opening, closing = self.brackets
        arguments = self.comma.join(parts[position] for position in self.order if parts[position])
        return f"{self.verbs[operation.kind]}{opening}{arguments}{closing}"


def draw_syntax(rng: Random) -> Syntax:
    """A random syntax that never spells the task's sentences, whatever its brackets and case.

    Objects have "the" only if boxes are bare numbers. Without brackets, boxes are not words and there is no
    full stop.
    """
    brackets = rng.choice(BRACKETS)
    bare = brackets == BRACKETS[0]
    box = rng.choice(BOXES[:2] if bare else BOXES)
    return Syntax(
        verbs={kind: rng.choice(words) for kind, words in VERBS.items()},
        source=rng.choice(SOURCES),
        targets={kind: rng.choice(words) for kind, words in TARGETS.items()},
        box=box,
        objects=rng.choice(OBJECTS if box == BOXES[0] else OBJECTS[:-1]),
        brackets=brackets,
        comma=rng.choice(COMMAS),
        end=rng.choice(ENDS[:-1] if bare else ENDS),
        order=rng.sample(range(3), 3) if rng.random() < 0.5 else range(3),
    )


# --- programs that print


def box_programs(rng: Random, progress: float) -> Document:
    return box_program(rng, *full_size(rng, progress))


def small_box_programs(rng: Random, progress: float) -> Document:
    return box_program(rng, *small_size(rng, progress))


def box_program(rng: Random, num_boxes: int, num_operations: int) -> Document:
    """Fill boxes and change them in one syntax. Print some boxes in between and all boxes at the end."""
    initial = draw_state(rng, NAMES, min(num_boxes, MAX_BOXES))
    operations = draw_operations(rng, NAMES, initial, num_operations)
    states = [*replay(initial, operations)]
    syntax, show = draw_syntax(rng), rng.choice((shown, reported))
    in_a_sentence = rng.random() < 0.5
    filling = f' boxes= read(" {WORDING.describe(initial)}")\n' if in_a_sentence else filled(initial, "\n")
    document: Document = [(filling, TEXT)]
    for operation, after in zip(operations, states[1:], strict=True):
        document.append((f"{syntax.write(operation)}{syntax.end.strip()}\n", TEXT))
        if rng.random() < 0.4:
            box = rng.choice((*operation.boxes, rng.randrange(len(initial))))
            document += show(box, after[box])
    if rng.random() < 0.5:
        return [*document, (" print( boxes)#", TEXT), *stated(states[-1]), ("\n", ANSWER)]
    return document + [piece for box, contents in enumerate(states[-1]) for piece in show(box, contents)]


def filled(state: State, end: str) -> str:
    return "".join(f" box[ {box}]={{{listed(contents)}}}{end}" for box, contents in enumerate(state))


def shown(box: int, contents: Contents) -> Document:
    return [(f" print( box[ {box}])#", TEXT), (f"{listed(contents) or ' None'}\n", ANSWER)]


def reported(box: int, contents: Contents) -> Document:
    return [(f" print( box[ {box}])#", TEXT), *clause(box, contents, ".\n")]


def counter_programs(rng: Random, progress: float) -> Document:
    """Variables with one digit each. They are set, copied, incremented, decremented and printed."""
    names = rng.sample(NAMES, rng.randint(2, 4))
    values = {name: rng.randrange(10) for name in names}
    document: Document = [(f" {name}= {value}\n", TEXT) for name, value in values.items()]
    for _ in range(rng.randint(1, 8)):
        name, other = rng.sample(names, 2)
        values[name], change = rng.choice(
            (
                ((values[name] + 1) % 10, "+= 1"),
                ((values[name] - 1) % 10, "-= 1"),
                (values[other], f"= {other}"),
            )
        )
        asked = rng.choice((name, other))
        document += [(f" {name}{change}\n print( {asked})#", TEXT), (f" {values[asked]}\n", ANSWER)]
    return document


# --- programs instead of the task's description, followed by a statement of their boxes


def asked(rng: Random, num_boxes: int, num_operations: int) -> Document:
    initial = draw_state(rng, NAMES, min(num_boxes, MAX_BOXES))
    operations = draw_operations(rng, NAMES, initial, num_operations)
    *_, final = replay(initial, operations)
    syntax = draw_syntax(rng)
    in_a_sentence = rng.random() < 0.7
    filling = (
        WORDING.describe(initial) + rng.choice(("", "\n")) if in_a_sentence else filled(initial, syntax.end)
    )
    statements = "".join(syntax.write(operation) + syntax.end for operation in operations)
    return answered((filling + statements).strip(), stated(final))


def asked_programs(rng: Random, progress: float) -> Document:
    return shots(rng, [asked(rng, *full_size(rng, progress))], instruction=0.2)


def small_asked_programs(rng: Random, progress: float) -> Document:
    return shots(rng, [asked(rng, *small_size(rng, progress))], instruction=0.1)


def asked_program_prompts(rng: Random, progress: float) -> Document:
    examples = [asked(rng, MAX_BOXES, rng.randint(0, 9)) for _ in range(rng.choice((2, 3, 3)))]
    return shots(rng, examples, instruction=0.9)


# --- the same programs, less like the task

# One token each, like the object names. Neither the base's text nor any program has these words.
OTHER_NAMES = """
as assert assistant ba be bre bru bu buys ca cha class clo co coff con count cro def dic dict do does dri
dru each else fil fla flo fro get gets gif give gives glo gu ha had have ho ic if inde index it ite item ja
ke la le left len list lo loses ma mach many mas max me med mil min minus mir more no not now of or pap pho
pic pl plus rad range return ro se self set sho sto store sum sys system takes tell than then time total
value
"""
OTHER_NAME = dict(zip(NAMES, OTHER_NAMES.split(), strict=True))  # in alphabetical order, as lists are
NAME = re.compile(rf"(?<= )({'|'.join(NAMES)})\b")


def renamed(corpus: Corpus) -> Corpus:
    """The same documents with other names, so that they share no object name with the task."""

    @wraps(corpus)
    def draw(rng: Random, progress: float) -> Document:
        return [
            (NAME.sub(lambda found: OTHER_NAME[found[0]], text), weight)
            for text, weight in corpus(rng, progress)
        ]

    return draw


def unframed(corpus: Corpus) -> Corpus:
    """The same documents without the task's frame: its instruction and its two labels."""

    @wraps(corpus)
    def draw(rng: Random, progress: float) -> Document:
        return [
            (text.removeprefix("Description:").replace("Statement:", " print( boxes)#"), weight)
            for text, weight in corpus(rng, progress)
            if text != INSTRUCTION
        ]

    return draw
