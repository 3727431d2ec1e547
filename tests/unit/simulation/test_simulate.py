"""Error rates of findings: a short simulation with fixed seeds, and its worlds."""

from __future__ import annotations

import json
import subprocess
import sys
from math import sqrt

import numpy as np
import pytest

from bench import ROOT
from bench.commands import main
from bench.inputs import MISTAKE
from bench.simulation.measures import ACCURACIES, MEASURES, world
from bench.simulation.simulate import Counts, bounds_of, simulate, table
from bench.simulation.worlds import CLUSTERINGS

SHORT = {
    "null_pairs": 25, "gains": 25, "mixed_families": 10, "pooled": 10, "probes": 5, "guessers": 25,
    "controls": 5, "runs": 10,
}  # fmt: skip


def count(counts: Counts, names: list[str], repetitions: int) -> None:
    for _ in simulate(names, repetitions, 0, counts):
        pass


def outside(counts: Counts) -> list[str]:
    """Lines whose rate is more than 3.5 standard errors outside its bounds."""
    found = []
    for line, (hits, trials) in ((line, count) for lines in counts.values() for line, count in lines.items()):
        if bounds := bounds_of(line):
            low, high = bounds
            errors = [3.5 * sqrt(bound * (1 - bound) / trials) for bound in bounds]
            if not low - errors[0] <= hits / trials <= high + errors[1]:
                found.append(f"{line}: {hits} of {trials}")
    return found


def test_findings_and_intervals_keep_their_bounds_in_a_short_simulation() -> None:
    counts: Counts = {}
    for name, repetitions in SHORT.items():
        count(counts, [name], repetitions)
    assert counts.keys() == SHORT.keys() and sum(map(len, counts.values())) > 100
    assert outside(counts) == []


@pytest.mark.nightly
def test_all_bounds_are_kept_in_a_long_simulation() -> None:
    counts: Counts = {}
    count(counts, list(MEASURES), 1000)
    assert outside(counts) == []


@pytest.mark.parametrize(("name", "low", "high"), [("weak", 1.2, 1.8), ("strong", 3, 4.5)])
def test_answers_have_the_accuracies_and_the_clustering_that_they_are_drawn_with(name, low, high) -> None:
    place, rng = world("716 examples"), np.random.default_rng(0)
    drawn = [place.answers(rng, CLUSTERINGS[name], [ACCURACIES])[0] for _ in range(30)]
    found = [place.measure(answers)["ops1plus"] for answers in drawn]
    assert np.mean([entry.value for entry in found]) == pytest.approx(
        place.shares(ACCURACIES)["ops1plus"], abs=0.01
    )
    assert low < np.mean([entry.design_effect for entry in found]) < high


def test_a_simulation_goes_on_where_it_was_and_counts_the_same(tmp_path, capsys) -> None:
    once, resumed = tmp_path / "once.json", tmp_path / "resumed.json"
    options = ["simulate", "--measures", "controls", "--seed", "3"]
    assert main([*options, "--repetitions", "4", "--out", str(once)]) == 0
    for repetitions in ("1", "4"):
        assert main([*options, "--repetitions", repetitions, "--out", str(resumed)]) == 0
    assert json.loads(once.read_text()) == json.loads(resumed.read_text())
    assert "planted: negative control fails" in capsys.readouterr().out


def test_a_rate_outside_its_bounds_is_marked() -> None:
    line = "null pair, better or worse at 1+ | 716 examples, weak"
    assert "NO" in table({"null_pairs": {line: (90, 1000)}})
    assert "NO" not in table({"null_pairs": {line: (45, 1000)}})
    assert outside({"null_pairs": {line: (90, 1000)}})


def test_unknown_measures_are_refused(capsys) -> None:
    assert main(["simulate", "--measures", "luck"]) == MISTAKE
    assert "unknown measures luck" in capsys.readouterr().err


def test_judging_imports_no_statsmodels() -> None:
    """The import takes a second, and only the pooling of several pairs needs it."""
    code = (
        "import sys, bench.plugin.hooks, bench.report.files\n"
        "from bench.models.suites import load_suite\n"
        "from bench.scoring.verdicts import judge_recorded\n"
        "suite = load_suite('paper')\n"
        "assert judge_recorded(suite, suite.recorded_baseline)\n"
        "print([name for name in ('statsmodels', 'scipy.stats') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
