"""Example -> for each box, the contents that a model chooses from: the true contents and plausible errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from bench.records import Contents, Example, Prompt, Query, Turn
from bench.task.prompts import Protocol, as_text, build
from bench.task.wording import WORDINGS
from bench.task.world import MAX_OBJECTS

Render = Callable[[Sequence[Turn]], str]
Choices = tuple[tuple[Contents, ...], ...]  # per box, the true contents first


def choices(example: Example) -> Choices:
    """Two or more different choices per box, unless the world is empty. Only the description matters."""
    return tuple(tuple(dict.fromkeys(of_box(example, query))) for query in example.queries)


def of_box(example: Example, query: Query) -> Iterator[Contents]:
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


def build_choices(example: Example, protocol: Protocol, render: Render = as_text) -> Prompt:
    """The prompt of an example. Its drafts are the choices, in the words of the example's version."""
    wording = WORDINGS[example.version]
    clauses = tuple(
        tuple(wording.describe_box(query.box, contents) for contents in of_query)
        for query, of_query in zip(example.queries, choices(example), strict=True)
    )
    return replace(build(example, protocol, render), drafts=clauses)
