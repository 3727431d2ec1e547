"""Scores of minimal pairs -> the effect of the critical sentence, as a paired difference over the pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.records import Accuracy, Difference, Score
from bench.scoring.stats import clustered_accuracy, clustered_difference
from bench.task.probes import MinimalPair

KINDS = ("critical box", "named box", "other boxes")
Places = Sequence[tuple[str, str, str, int]]  # scenario id, ids of the examples with and without, box


@dataclass(frozen=True, slots=True)
class Cost:
    """Accuracy on some boxes with and without the critical sentence, and the difference."""

    with_sentence: Accuracy
    without: Accuracy
    difference: Difference


def cost_of(scores: Sequence[Score], pairs: Sequence[MinimalPair]) -> dict[str, Cost]:
    """Costs for the box that the sentence may hide ("critical box"), the other named box, and all others."""
    right = {(score.example_id, score.box): score.correct for score in scores}
    places: dict[str, list[tuple[str, str, str, int]]] = {kind: [] for kind in KINDS}
    for pair in pairs:
        for query in pair.control.queries:
            where = {pair.named: "named box", pair.box: "critical box"}.get(query.box, "other boxes")
            ids = (pair.control.scenario_id, pair.critical.id, pair.control.id)
            places[where].append((*ids, query.box))
    return {where: compare(right, found) for where, found in places.items() if found}


def compare(right: Mapping[tuple[str, int], bool], places: Places) -> Cost:
    """Accuracy with the sentence minus accuracy without it, on the same boxes."""
    after = [right[critical, box] for _, critical, _, box in places]
    before = [right[control, box] for _, _, control, box in places]
    scenarios = [scenario for scenario, *_ in places]
    return Cost(
        clustered_accuracy(after, scenarios),
        clustered_accuracy(before, scenarios),
        clustered_difference([float(a) - float(b) for a, b in zip(after, before, strict=True)], scenarios),
    )
