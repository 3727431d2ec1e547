"""A run compared with the baseline: planted changes of known size."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.inputs import InputError
from bench.nights.files import load, save
from bench.nights.regression import (
    MARGINS,
    MEASURED_WORSE,
    NOT_MEASURED,
    compare_nights,
    night_of,
)
from bench.records import Evaluation, Results, Score
from bench.report.markdown import regression_parts
from bench.report.tables import headline
from bench.run.session import accuracies

METADATA = {"run": "tonight", "suite": "s", "protocol": "paper (1)", "data set": "evaluation (2)",
            "version of the task": "base", "torch": "2.13.0"}  # fmt: skip


def evaluation(name: str, right: int) -> Evaluation:
    """500 scenarios of 8 queries with one operation; in each 100 of them, `right` scenarios are right."""
    scores = tuple(
        Score(f"s{number}-1", f"s{number}", box, 1, None if number % 100 < right else "other")
        for number in range(500)
        for box in range(8)
    )
    return Evaluation(name, {}, scores, {}, "reference", {"model.weights": "w"})


def run(skipped: dict[str, str] | None = None, **right: int) -> Results:
    evaluations = {name: evaluation(name, count) for name, count in right.items()}
    counted = {name: accuracies(entry) for name, entry in evaluations.items()}
    return Results(METADATA, evaluations, counted, {}, (), skipped or {})


BASELINE = night_of(run(small=50, large=60))


@pytest.mark.parametrize(
    ("large", "worse"),
    [
        pytest.param(60, set(), id="the same"),
        pytest.param(59, set(), id="a point worse"),
        pytest.param(53, {"large"}, id="seven points worse"),
        pytest.param(80, set(), id="an improvement"),
    ],
)
def test_a_model_is_worse_only_if_it_is_shown_to_be_so_by_more_than_the_margin(large, worse):
    found = compare_nights(run(small=50, large=large), BASELINE)
    assert {change.model for change in found.worse} == worse
    assert found.exit_status == (MEASURED_WORSE if worse else 0)
    assert ("large got worse at 1+" in headline(found)) is bool(worse)


def test_every_flip_is_listed_whatever_it_comes_to():
    found = compare_nights(run(small=50, large=59), BASELINE)
    assert len(found.flips) == 5 * 8  # scenarios 59, 159, ... of large
    assert {(flip.model, flip.was, flip.score.error) for flip in found.flips} == {("large", None, "other")}
    assert "\n".join(regression_parts(found)).count("right → other") == 40
    assert headline(found) == "No model got worse since tonight: 1,000 answers, 5 different."


def test_a_night_without_a_change_is_one_sentence_with_the_name_that_the_user_gave(tmp_path: Path):
    monday = load(save(BASELINE, tmp_path / "monday.json"))
    found = compare_nights(run(small=50, large=60), monday)
    assert headline(found) == "Nothing changed since monday: 1,000 answers, 0 different."
    assert "## Since monday" in regression_parts(found)


def test_a_change_of_environment_or_of_a_model_is_told():
    tonight = run(small=50, large=60)
    tonight = replace(tonight, metadata=METADATA | {"torch": "2.14.0"})
    tonight.evaluations["large"] = replace(tonight.evaluations["large"], fingerprint={"model.weights": "v"})
    assert compare_nights(tonight, BASELINE).environment == {
        "torch": ("2.13.0", "2.14.0"),
        "large: model.weights": ("w", "v"),
    }


@pytest.mark.parametrize(
    ("asked", "unmeasured", "status"),
    [
        pytest.param(["small", "large"], {"large": "no GPU"}, NOT_MEASURED, id="asked for"),
        pytest.param(["small"], {}, 0, id="not asked for"),
        pytest.param(["small", "new"], {}, 0, id="not in the baseline"),
    ],
)
def test_a_model_that_could_not_be_measured_is_not_one_that_is_worse(asked, unmeasured, status):
    found = compare_nights(run(small=50, skipped={"large": "no GPU"}), BASELINE, asked)
    assert (dict(found.unmeasured), found.worse, found.exit_status) == (unmeasured, [], status)


def test_worse_outweighs_not_measured():
    found = compare_nights(run(small=20), BASELINE, ["small", "large"])
    assert found.unmeasured and found.exit_status == MEASURED_WORSE


@pytest.mark.parametrize("part", ["protocol", "data set", "version of the task"])
def test_another_protocol_or_data_is_refused_by_name(part):
    with pytest.raises(ValueError, match=f"another {part}: .*, but this run has something else"):
        compare_nights(replace(run(small=50), metadata=METADATA | {part: "something else"}), BASELINE)


def test_margins_are_wider_where_buckets_are_small():
    by_size = [MARGINS[f"ops{number}"] for number in range(8)]
    assert by_size == sorted(by_size) and MARGINS["ops1plus"] == 0.03


def test_a_saved_night_comes_back_as_it_was(tmp_path: Path):
    found = load(save(BASELINE, tmp_path / "saved" / "night.json"))
    assert found == replace(BASELINE, name="night")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(None, "no saved run", id="missing"),
        pytest.param("{", "cannot be read", id="torn"),
        pytest.param("[]", "expected a table of keys", id="something else"),
        pytest.param(json.dumps({"schema": 0}), "has schema 0, not 2", id="another schema"),
    ],
)
def test_a_baseline_that_will_not_do_is_an_error_that_says_why(tmp_path: Path, text: str | None, said: str):
    path = tmp_path / "night.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=said):
        load(path)


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        pytest.param(("metadata",), {}, "metadata: run is missing", id="no run"),
        pytest.param(("models", "small", "answers"), "?", "answers: expected a string", id="unknown letter"),
        pytest.param(("models", "small", "answers"), "", "but the answers have 0 of 0", id="other length"),
        pytest.param(("models", "small", "accuracies"), {}, "have 0 of 0 right, but", id="no bucket"),
        pytest.param(("models", "small", "accuracies", "ops9"), {}, "accuracies: n is missing", id="bucket"),
        pytest.param(("models", "small", "fingerprint"), None, "fingerprint: expected", id="no fingerprint"),
        pytest.param(("models", "small", "accuracies", "ops1", "correct"), 9999, "impossible", id="counts"),
        pytest.param(("models", "small", "accuracies", "ops1", "n"), 10**400, "n: ", id="a number of 10^400"),
        pytest.param(("models",), None, "models: expected a table", id="no models"),
    ],
)
def test_an_edited_baseline_is_refused_by_the_place_of_the_edit(
    tmp_path: Path, keys: tuple[str, ...], value: object, said: str
) -> None:
    path = save(BASELINE, tmp_path / "night.json")
    table = json.loads(path.read_text())
    *outer, last = keys
    inner = table
    for key in outer:
        inner = inner[key]
    inner[last] = value
    path.write_text(json.dumps(table))
    with pytest.raises(InputError, match=said):
        load(path)
