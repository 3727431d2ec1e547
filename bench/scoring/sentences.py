"""Comparison -> sentences: the gain with interval and p, the accuracies, the models against guessing."""

from __future__ import annotations

from bench.proportions import ALPHA
from bench.records import Case, Comparison, Outcome
from bench.scoring.stats import FEWEST_SCENARIOS, MARGIN

FROM_COUNTS = "from counts without pairing and clustering"
SMALLEST_P = 0.0002  # smaller p-values are shown as "< 0.0002"
CONTROL_CASES: dict[Case, str] = {
    "passes": "control as expected",
    "open": "control open",
    "fails": "control not as expected",
}
STANDINGS = {
    "above": "Both models are above",
    "below": "Both models are below",
    "not shown to differ from": "Neither model is shown to differ from",
}


def sentence_of(found: Comparison, outcome: Outcome, case: Case) -> str:
    """The gain, the accuracies, the models against guessing, and remarks on no difference and on controls."""
    control = f" Result: {CONTROL_CASES[case]}." if found.pair.control else ""
    figures = f"{gain_clause(found)}. {accuracy_clause(found)}."
    return f"{figures} {standing_clause(found)}.{remark(found, outcome)}{control}"


def gain_clause(found: Comparison) -> str:
    difference, pair = found.difference, found.pair
    side = "above" if difference.value >= 0 else "below"
    return (
        f"{pair.variant} is {points(abs(difference.value))} {side} {pair.base} "
        f"on {name_bucket(found.bucket)} "
        f"({interval_clause(difference.low, difference.high, difference.confidence)}, "
        f"{p_clause(found.p_adjusted, found.tests)}{'' if found.paired else f', {FROM_COUNTS}'})"
    )


def accuracy_clause(found: Comparison) -> str:
    sample = f"n = {found.base.n} in {found.scenarios} scenarios" if found.paired else f"n = {found.base.n}"
    return (
        f"The accuracies are {found.variant.value:.1%} and {found.base.value:.1%}, "
        f"random guessing {found.baseline:.1%} ({sample})"
    )


def interval_clause(low: float, high: float, confidence: float = 1 - ALPHA) -> str:
    return f"{100 * confidence:.4g}% interval {100 * low:+.1f} to {100 * high:+.1f}"


def p_clause(p: float, tests: int = 1) -> str:
    return equals(f"p adjusted over {tests} tests" if tests > 1 else "p", p)


def equals(name: str, p: float) -> str:
    """As in "p = 0.031", or "p < 0.0002"."""
    shown = show_p(p)
    return f"{name} {shown}" if shown.startswith("<") else f"{name} = {shown}"


def show_p(p: float) -> str:
    """As in "0.031"; "< 0.0002" for smaller values."""
    return f"< {SMALLEST_P}" if p < SMALLEST_P else f"{p:.2g}"


def points(difference: float) -> str:
    return f"{100 * difference:.1f} points"


def standing_clause(found: Comparison) -> str:
    """Both models against random guessing."""
    variant, base = found.variant_over_random.standing, found.base_over_random.standing
    if variant == base:
        return f"{STANDINGS[variant]} random guessing"
    return f"{found.pair.variant} is {variant} random guessing, and {found.pair.base} is {base} it"


def remark(found: Comparison, outcome: Outcome) -> str:
    """The meaning of a comparison without a difference."""
    if outcome == "equivalent":
        return f" The two models agree within {points(MARGIN)}."
    if outcome == "too few scenarios":
        return f" Fewer than {FEWEST_SCENARIOS} scenarios cannot show a difference."
    if outcome == "no difference shown":
        return f" This sample detects a difference of {points(found.difference.detectable)} with 80% power."
    return ""


def name_bucket(bucket: str) -> str:
    """Name a bucket: "ops3" -> "queries with 3 operations"."""
    number = bucket.removeprefix("ops").replace("1plus", "1 or more")
    return f"queries with {number} operation{'' if number == '1' else 's'}"
