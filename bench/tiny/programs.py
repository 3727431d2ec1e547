"""Seed -> documents: the corpus of tiny-code, small programs with state and what they print.

Names and numbers follow a space, so that they are the same tokens as in text. A program has at most six
boxes: none is the world of an evaluation example.
"""

from __future__ import annotations

from random import Random

from bench.boxes.generator import draw_operations, draw_state
from bench.boxes.world import replay
from bench.records import Contents, Operation
from bench.tiny.corpora import ANSWER, NAMES, TEXT, WORDING, Document, clause, full_size, small_size

MAX_BOXES = 6

# --- styles: an operation and the names of its objects -> a statement


def with_sets(operation: Operation, names: str) -> str:
    taken = f" box[ {operation.source}]-={{{names}}}"
    added = f" box[ {operation.target}]|={{{names}}}"
    return {"put": added, "move": f"{taken};{added}", "remove": taken}[operation.kind]


def with_calls(operation: Operation, names: str) -> str:
    taken = f" pop({names}, box[ {operation.source}])"
    added = f" add({taken if operation.kind == 'move' else names}, box[ {operation.target}])"
    return taken if operation.kind == "remove" else added


def with_commands(operation: Operation, names: str) -> str:
    places = {"from_": operation.source, "to" if operation.kind == "move" else "into": operation.target}
    keywords = "".join(f", {word}= {box}" for word, box in places.items() if box is not None)
    return f" {operation.kind.title()}({names}{keywords})"


def listed(contents: Contents) -> str:
    return ",".join(f" {name}" for name in sorted(contents))


def shown(box: int, contents: Contents) -> Document:
    return [(f" print( box[ {box}])#", TEXT), (f"{listed(contents) or ' None'}\n", ANSWER)]


def reported(box: int, contents: Contents) -> Document:
    return [(f" print( box[ {box}])#", TEXT), *clause(box, contents, ".\n")]


def box_programs(rng: Random, progress: float) -> Document:
    return box_program(rng, *full_size(rng, progress))


def small_box_programs(rng: Random, progress: float) -> Document:
    return box_program(rng, *small_size(rng, progress))


def box_program(rng: Random, num_boxes: int, num_operations: int) -> Document:
    """Boxes filled, changed by statements of one style, some shown on the way, and all of them at the end."""
    initial = draw_state(rng, NAMES, min(num_boxes, MAX_BOXES))
    operations = draw_operations(rng, NAMES, initial, num_operations)
    *between, final = replay(initial, operations)
    write, show = rng.choice((with_sets, with_calls, with_commands)), rng.choice((shown, reported))
    document: Document = [
        (f" box[ {box}]={{{listed(contents)}}}\n", TEXT) for box, contents in enumerate(initial)
    ]
    for operation, before in zip(operations, between, strict=True):
        if rng.random() < 0.2:
            box = rng.randrange(len(initial))
            document += show(box, before[box])
        document.append((write(operation, listed(operation.objects)) + "\n", TEXT))
    if rng.random() < 0.5:
        return [*document, (" print( boxes)#", TEXT), (f" {WORDING.state_all(final)}\n", ANSWER)]
    return document + [piece for box, contents in enumerate(final) for piece in show(box, contents)]


def counter_programs(rng: Random, progress: float) -> Document:
    """Variables that hold a digit: set, copied, counted up and down, and printed."""
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
