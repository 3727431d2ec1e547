"""Comparison -> one sentence: the figures, their interval and p, and how the models stand to guessing."""

from __future__ import annotations

from bench.proportions import ALPHA
from bench.records import Case, Comparison, Outcome
from bench.scoring.stats import FEWEST_SCENARIOS, MARGIN

FROM_COUNTS = "from counts: pairing and clustering unknown"
SMALLEST_P = 0.0002  # shown as "< 0.0002": beyond that, a p value says nothing more
CONTROL_CASES: dict[Case, str] = {
    "passes": "control as expected",
    "open": "control open",
    "fails": "control not as expected",
}
STANDINGS = {
    "above": "both are above",
    "below": "both are below",
    "not shown to differ from": "neither is shown to differ from",
}


def sentence_of(found: Comparison, outcome: Outcome, case: Case) -> str:
    """The figures, how the models stand to guessing, what no difference means, whether a control holds."""
    control = f"; {CONTROL_CASES[case]}" if found.pair.control else ""
    return f"{gain_clause(found)}; {standing_clause(found)}{remark(found, outcome)}{control}"


def gain_clause(found: Comparison) -> str:
    difference, pair = found.difference, found.pair
    side = "above" if difference.value >= 0 else "below"
    sample = f"n = {found.base.n} in {found.scenarios} scenarios" if found.paired else f"n = {found.base.n}"
    return (
        f"{pair.variant} is {points(abs(difference.value))} {side} {pair.base} "
        f"on {name_bucket(found.bucket)} ({found.variant.value:.1%} against {found.base.value:.1%}, "
        f"random {found.baseline:.1%}, {sample}; "
        f"{interval_clause(difference.low, difference.high, difference.confidence)}, "
        f"{p_clause(found.p_adjusted, found.tests)}"
        f"{'' if found.paired else f', {FROM_COUNTS}'})"
    )


def interval_clause(low: float, high: float, confidence: float = 1 - ALPHA) -> str:
    return f"{100 * confidence:.4g}% interval {100 * low:+.1f} to {100 * high:+.1f}"


def p_clause(p: float, tests: int = 1) -> str:
    name, shown = f"p adjusted over {tests} tests" if tests > 1 else "p", show_p(p)
    return f"{name} {shown}" if shown.startswith("<") else f"{name} = {shown}"


def show_p(p: float) -> str:
    """ "0.031"; "< 0.0002" for what is smaller."""
    return f"< {SMALLEST_P}" if p < SMALLEST_P else f"{p:.2g}"


def points(difference: float) -> str:
    return f"{100 * difference:.1f} points"


def standing_clause(found: Comparison) -> str:
    """How both models stand to random guessing."""
    variant, base = found.variant_over_random.standing, found.base_over_random.standing
    if variant == base:
        return f"{STANDINGS[variant]} guessing"
    return f"{found.pair.variant} is {variant} guessing, {found.pair.base} is {base} it"


def remark(found: Comparison, outcome: Outcome) -> str:
    """What a comparison without a difference means."""
    if outcome == "equivalent":
        return f"; the two agree within {points(MARGIN)}"
    if outcome == "too few scenarios":
        return f"; with fewer than {FEWEST_SCENARIOS} scenarios no difference can be shown"
    if outcome == "no difference shown":
        return f"; this sample shows a difference of {points(found.difference.detectable)} with 80% power"
    return ""


def name_bucket(bucket: str) -> str:
    """ "ops3" -> "queries with 3 operations"."""
    number = bucket.removeprefix("ops").replace("1plus", "1 or more")
    return f"queries with {number} operation{'' if number == '1' else 's'}"
