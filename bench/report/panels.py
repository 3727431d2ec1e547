"""Verdicts -> sections: a hypothesis with its pairs, a pair with its buckets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.records import HYPOTHESES, Pair, Suite, Verdict

HEADINGS = {name: name.capitalize() for name in HYPOTHESES}
COLUMNS = 5


@dataclass(frozen=True, slots=True)
class Panel:
    """A pair's verdicts by bucket.

    behind: those recorded before on the same sample, where they differ. as_recorded: they do not differ.
    """

    pair: Pair
    shown: Mapping[str, Verdict]
    behind: Mapping[str, Verdict]
    as_recorded: bool = False

    @property
    def name(self) -> str:
        """Begins the names of the pair's drawings and tables."""
        return f"{section_of(self.pair)}-{self.pair.id}"

    @property
    def main(self) -> Verdict:
        """The verdict that the pair is judged by."""
        return self.shown.get("ops1plus", next(iter(self.shown.values())))


Rows = Sequence[Sequence[Panel]]


@dataclass(frozen=True, slots=True)
class Section:
    """A hypothesis, or the controls. elsewhere: pairs with recorded figures that were not run here."""

    name: str
    panels: tuple[Panel, ...]
    elsewhere: tuple[Panel, ...]

    @property
    def heading(self) -> str:
        return HEADINGS.get(self.name, self.name.capitalize())


def sections(found: Iterable[Verdict], recorded: Iterable[Verdict]) -> list[Section]:
    """Hypotheses in the order of HEADINGS, then others, then the controls."""
    now, before = by_pair(found), by_pair(recorded)
    panels = [beside_record(pair, shown, before.get(pair, {})) for pair, shown in now.items()]
    elsewhere = [Panel(pair, shown, {}) for pair, shown in before.items() if pair not in now]
    names = dict.fromkeys([*HEADINGS, *(section_of(panel.pair) for panel in (*panels, *elsewhere))])
    return [
        Section(name, *chosen)
        for name in sorted(names, key="controls".__eq__)
        if any(chosen := [tuple(p for p in of if section_of(p.pair) == name) for of in (panels, elsewhere)])
    ]


def by_pair(verdicts: Iterable[Verdict]) -> dict[Pair, dict[str, Verdict]]:
    grouped: dict[Pair, dict[str, Verdict]] = {}
    for verdict in verdicts:
        grouped.setdefault(verdict.comparison.pair, {})[verdict.comparison.bucket] = verdict
    return grouped


def beside_record(pair: Pair, now: Mapping[str, Verdict], before: Mapping[str, Verdict]) -> Panel:
    """Recorded verdicts are left out if any bucket has another number of queries, or if all are the same."""
    if {bucket: counts(verdict)[0] for bucket, verdict in now.items()} != {
        bucket: counts(before[bucket])[0] for bucket in now if bucket in before
    }:
        return Panel(pair, now, {})
    same = all(counts(verdict) == counts(before[bucket]) for bucket, verdict in now.items())
    return Panel(pair, now, {} if same else before, as_recorded=same)


def counts(verdict: Verdict) -> tuple[int, int, int]:
    """Queries, and how many each model has right."""
    found = verdict.comparison
    return found.base.n, found.base.correct, found.variant.correct


def section_of(pair: Pair) -> str:
    return "controls" if pair.control else pair.hypothesis


def rows_of(panels: Sequence[Panel], suite: Suite) -> list[list[Panel]]:
    """At most COLUMNS panels a row. If there are more, pairs that start from a code model come last."""
    groups = [panels]
    if len(panels) > COLUMNS:
        code_models = code_variants(suite)
        groups = [
            [panel for panel in panels if (panel.pair.base in code_models) is code] for code in (False, True)
        ]
    return [
        list(group[start : start + COLUMNS]) for group in groups for start in range(0, len(group), COLUMNS)
    ]


def code_variants(suite: Suite) -> Collection[str]:
    return {pair.variant for pair in suite.pairs if pair.hypothesis == "code" and not pair.control}
