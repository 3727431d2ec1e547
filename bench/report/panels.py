"""Verdicts -> sections: a hypothesis with its pairs, a pair with its buckets, and their findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.records import HYPOTHESES, Comparison, Pair, Pooled, Suite, Verdict
from bench.scoring.pooling import pool_all
from bench.scoring.sentences import points

COLUMNS = 5
CLAIM = " improves entity tracking"  # the end of a built-in hypothesis
WORDS = {  # every other outcome leaves the question open
    "better": "Yes", "supported": "Yes", "worse": "No", "equivalent": "No", "contradicted": "No",
}  # fmt: skip
OPEN = "Not clear"


@dataclass(frozen=True, slots=True)
class Panel:
    """A pair's verdicts by bucket.

    behind: verdicts recorded before on the same sample, if they differ. as_recorded: True if they agree.
    """

    pair: Pair
    shown: Mapping[str, Verdict]
    behind: Mapping[str, Verdict]
    as_recorded: bool = False

    @property
    def name(self) -> str:
        """The prefix of the names of the pair's drawings and tables."""
        return f"{section_of(self.pair)}-{self.pair.id}"

    @property
    def main(self) -> Verdict:
        """The verdict that decides about the pair."""
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
        return self.name.capitalize()


def sections(found: Iterable[Verdict], recorded: Iterable[Verdict]) -> list[Section]:
    """Hypotheses in the order of HYPOTHESES, then others, then the controls."""
    now, before = by_pair(found), by_pair(recorded)
    panels = [beside_record(pair, shown, before.get(pair, {})) for pair, shown in now.items()]
    elsewhere = [Panel(pair, shown, {}) for pair, shown in before.items() if pair not in now]
    names = dict.fromkeys([*HYPOTHESES, *(section_of(panel.pair) for panel in (*panels, *elsewhere))])
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
    """A panel without recorded verdicts if all agree, or if any bucket has another number of queries."""
    if {bucket: counts(verdict)[0] for bucket, verdict in now.items()} != {
        bucket: counts(before[bucket])[0] for bucket in now if bucket in before
    }:
        return Panel(pair, now, {})
    same = all(counts(verdict) == counts(before[bucket]) for bucket, verdict in now.items())
    return Panel(pair, now, {} if same else before, as_recorded=same)


def counts(verdict: Verdict) -> tuple[int, int, int]:
    """The number of queries, and the number of right answers of each model."""
    found = verdict.comparison
    return found.base.n, found.base.correct, found.variant.correct


def section_of(pair: Pair) -> str:
    return "controls" if pair.control else pair.hypothesis


def rows_of(panels: Sequence[Panel], suite: Suite) -> list[list[Panel]]:
    """Rows of at most COLUMNS panels. With more panels, pairs that start from a code model come last."""
    groups = [panels]
    if len(panels) > COLUMNS:
        code_models = {p.variant for p in suite.pairs if p.hypothesis == "code" and not p.control}
        groups = [
            [panel for panel in panels if (panel.pair.base in code_models) is code] for code in (False, True)
        ]
    return [
        list(group[start : start + COLUMNS]) for group in groups for start in range(0, len(group), COLUMNS)
    ]


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to a question. outcome: sets its colour. pairs: the finding of each, if several."""

    question: str
    outcome: str
    sentence: str
    pairs: tuple[Finding, ...] = ()


def find(section: Section) -> Finding | None:
    """The finding of a section; None if none of its pairs was run."""
    tested = [panel for panel in section.panels if "ops1plus" in panel.shown]
    if not tested:
        return None
    if section.name == "controls":
        return Finding("Does the benchmark itself work?", *check_controls(tested))
    question = f"Does {HYPOTHESES.get(section.name, section.heading).removesuffix(CLAIM)} help?"
    pairs = tuple(find_pair(panel.main) for panel in tested)
    if len(pairs) == 1:
        return replace(pairs[0], question=question)
    [pooled] = pool_all(panel.main for panel in tested)
    return Finding(question, pooled.outcome, f"{pool_answer(pooled)} {count_answers(pairs)}", pairs)


def find_pair(verdict: Verdict) -> Finding:
    """As in "Yes: tiny-code is 29.4 points above tiny-base [27.3, 31.3].".

    Yes needs a gain and a variant above random guessing. Otherwise a gain is open, so that the badge "better"
    never stands beside "Not clear".
    """
    pair, change = verdict.comparison.pair, verdict.comparison.difference
    unclear = verdict.outcome == "better" and verdict.case != "passes"
    outcome = "open" if unclear else verdict.outcome
    side, value, low, high = "above", change.value, change.low, change.high
    if value < 0:
        side, value, low, high = "below", -value, -high, -low
    ends = f"[{100 * low:.1f}, {100 * high:.1f}]".replace("-", "−")
    remark = ", but it is not shown to beat random guessing" if unclear else ""
    gain = f"{100 * value:.1f}"
    stands = "level with" if gain == "0.0" else f"{gain} points {side}"
    sentence = f"{WORDS.get(outcome, OPEN)}: {pair.variant} is {stands} {pair.base} {ends}{remark}."
    return Finding(f"{pair.base} → {pair.variant}", outcome, sentence)


def pool_answer(pooled: Pooled) -> str:
    """As in "Yes: over 5 pairs the gain is 15.3 points [0.9, 29.6]."."""
    said, ends = WORDS.get(pooled.outcome, OPEN), f"[{100 * pooled.low:.1f}, {100 * pooled.high:.1f}]"
    text = f"{said}: over {pooled.pairs} pairs the gain is {100 * pooled.value:.1f} points {ends}."
    return text.replace("-", "−")


def count_answers(pairs: Sequence[Finding]) -> str:
    """As in "Yes for 4 of 5 pairs, not clear for 1."."""
    words = Counter(WORDS.get(found.outcome, OPEN) for found in pairs)
    first, *others = (f"{word} for {words[word]}" for word in ("Yes", "No", OPEN) if words[word])
    return ", ".join([f"{first} of {len(pairs)} pairs", *map(str.lower, others)]) + "."


def check_controls(tested: Sequence[Panel]) -> tuple[str, str]:
    """Outcome and sentences: do the positive controls show a gain, and the negative controls none?"""
    verdicts = [panel.main for panel in tested]
    if failed := [verdict for verdict in verdicts if verdict.case == "fails"]:
        return "worse", f"No: {names_of(failed)} did not behave as expected. Do not trust this run."
    if unclear := [verdict for verdict in verdicts if verdict.case == "open"]:
        return "no difference shown", f"{OPEN}: this run does not show it for {names_of(unclear)}."
    number = {1: "the control", 2: "both controls"}.get(len(tested), f"all {len(tested)} controls")
    losses = [loss_of(verdict.comparison) for verdict in verdicts if verdict.outcome == "worse"]
    return "better", " ".join([f"Yes: {number} behaved as expected.", *losses])


def names_of(controls: Sequence[Verdict]) -> str:
    pairs = [verdict.comparison.pair for verdict in controls]
    return " and ".join(f"the {pair.control} control {pair.variant}" for pair in pairs)


def loss_of(found: Comparison) -> str:
    """The loss of a negative control. It is as expected, because the control only claims no gain."""
    loss = points(-found.difference.value)
    return f"The negative control {found.pair.variant} is {loss} below {found.pair.base}, which is no gain."


def recorded_sentence(section: Section) -> str:
    """As in "In the published figures, 4 of 5 code models improve and beat guessing."; "" without figures."""
    recorded = [panel.main for panel in section.elsewhere]
    if not recorded:
        return ""
    improved = sum(verdict.case == "passes" for verdict in recorded)
    share = f"{improved} of {len(recorded)} {section.heading.lower()} models"
    return f"In the published figures, {share} improve and beat random guessing."
