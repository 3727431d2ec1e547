"""Seed -> documents: the corpus of tiny-math, with step-by-step sums and word problems.

It has no boxes.
"""

from __future__ import annotations

from random import Random

from bench.training.corpora import ANSWER, PEOPLE, TEXT, Document

SIGNS = {"+": 1, "-": -1}


def sums(rng: Random, progress: float) -> Document:
    """A few sums of one or two digits, each worked out from left to right."""
    return [piece for _ in range(rng.randint(1, 4)) for piece in worked_sum(rng, rng.randint(1, 5))]


def worked_sum(rng: Random, num_terms: int) -> Document:
    """One sum, such as "8 + 5 - 3 = 13 - 3 = 10"."""
    total, terms = rng.randint(0, 20), signed_terms(rng, num_terms)
    document: Document = [(f" {expression(total, terms)}", TEXT)]
    while terms:
        (sign, number), *terms = terms
        total += SIGNS[sign] * number
        document += [(f" = {expression(total, terms)}", ANSWER)]
    return [*document, ("\n", ANSWER)]


def signed_terms(rng: Random, num_terms: int) -> list[tuple[str, int]]:
    return [(rng.choice("+-"), rng.randint(0, 20)) for _ in range(num_terms)]


def expression(total: int, terms: list[tuple[str, int]]) -> str:
    return " ".join([str(total), *(f"{sign} {number}" for sign, number in terms)])


def word_problems(rng: Random, progress: float) -> Document:
    """People get, lose and give coins. The document states how many each has in the end."""
    people = rng.sample(PEOPLE, rng.randint(2, 4))
    coins = {person: rng.randint(0, 20) for person in people}
    document: Document = [(f" {person} has {number} coins.", TEXT) for person, number in coins.items()]
    for _ in range(rng.randint(1, 2 + round(4 * progress))):
        document.append((f" {event(rng, coins)}", TEXT))
    for person in rng.sample(people, rng.randint(1, len(people))):
        stem, answer = rng.choice(
            (
                (f" How many coins has {person}?", f" {coins[person]}."),
                (f" Now {person} has", f" {coins[person]} coins."),
            )
        )
        document += [(stem, TEXT), (answer, ANSWER)]
    return document


def event(rng: Random, coins: dict[str, int]) -> str:
    """One person gets, loses or gives away some coins. Updates `coins`."""
    person, other = rng.sample(sorted(coins), 2)
    kind = rng.choice(("gets", "loses", "gives")) if coins[person] else "gets"
    number = rng.randint(1, 20 if kind == "gets" else coins[person])
    coins[person] += number if kind == "gets" else -number
    if kind != "gives":
        return f"{person} {kind} {number} coins."
    coins[other] += number
    return f"{person} gives {other} {number} coins."
