"""Suite files: valid contents, and the message for each mistake."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.models.machine import dtype_of
from bench.models.suites import load_suite
from bench.run.plans import merge

HEAD = 'name = "mine"\n'
MODEL = '[[models]]\nname = "a"\npath = "weights/a"\n'
ONE = HEAD + MODEL
TWO = ONE + '[[models]]\nname = "b"\nhub = "org/b"\n'
RECORDED = TWO.replace(HEAD, HEAD + 'recorded = "figures.csv"\n')
PAIR = '[[pairs]]\nhypothesis = "code"\nbase = "a"\nvariant = "b"\n'


@pytest.fixture
def suite_file(tmp_path: Path):
    def write(text: str) -> str:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_pair_of_a_local_and_a_hub_model_is_read(suite_file, tmp_path: Path) -> None:
    suite = load_suite(suite_file(TWO + PAIR))
    assert suite.models["a"].path == str(tmp_path / "weights" / "a")
    assert (suite.models["b"].path, suite.models["b"].source) == ("org/b", "hub")
    assert [pair.id for pair in suite.pairs] == ["a..b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("name = ", "cannot be read as TOML", id="not TOML"),
        pytest.param(MODEL, "mine.toml: name is missing", id="no name"),
        pytest.param(HEAD, "mine.toml: models is missing", id="no models"),
        pytest.param(HEAD + "models = 3", "models: expected a list", id="models is a number"),
        pytest.param(HEAD + "models = [3]", "models 1: expected a table", id="a model is a number"),
        pytest.param(HEAD + "modles = []\n" + MODEL, "key 'modles'. Did you mean 'models'?", id="typo"),
        pytest.param(ONE + "dtpye = 'auto'", "key 'dtpye'. Did you mean 'dtype'?", id="typo below"),
        pytest.param(ONE + "dtype = 'int8'", "models 1: dtype: 'int8' is not one of auto", id="dtype"),
        pytest.param(
            ONE + "chat = 1", "chat: expected true or false, but got a whole number", id="1 is not true"
        ),
        pytest.param(ONE + "memory_gb = -1", "memory_gb: expected a number above 0", id="negative memory"),
        pytest.param(ONE + "memory_gb = nan", "memory_gb: expected a number above 0", id="nan"),
        pytest.param(ONE + "hub = 'org/a'", "give either path (a local", id="path and hub"),
        pytest.param(HEAD + "[[models]]\nname = 'a'", "give either path (a local", id="no path, no hub"),
        pytest.param(ONE + MODEL, "name: 'a' appears twice", id="two models of one name"),
        pytest.param(ONE.replace('"a"', '"a/b"'), "name: 'a/b' has other characters", id="slash in name"),
        pytest.param(ONE.replace('"a"', '"a..b"'), "two dots", id="name like a pair's"),
        pytest.param(TWO + "trust_remote_code = true", "Set revision to a commit", id="code, no commit"),
        pytest.param(ONE + PAIR, "variant: no model 'b' here", id="pair of an unknown model"),
        pytest.param(TWO + PAIR.replace('"b"', '"a"'), "both 'a'", id="pair of one model"),
        pytest.param(TWO + PAIR + PAIR, "'a..b' appears twice", id="pair twice"),
        pytest.param(
            TWO + PAIR.replace("code", "A word"), "hypothesis: expected a string matching", id="no word"
        ),
        pytest.param(HEAD + "recorded = 'no.csv'\n" + MODEL, "no.csv cannot be read", id="no recorded file"),
        pytest.param(HEAD + "recorded_baseline = 'b.csv'\n" + MODEL, "Add recorded", id="only a baseline"),
    ],
)
def test_mistake_is_told_in_one_line_with_file_and_key(suite_file, text: str, said: str) -> None:
    path = suite_file(text)
    with pytest.raises(ValueError) as error:
        load_suite(path)
    assert said in str(error.value)
    assert str(error.value).startswith((path, path.replace("mine.toml", "")))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["papr", "no/such/suite", "missing.toml"])
def test_unknown_suite_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match="embedded, modern, paper"):
        load_suite(name)


def test_remote_code_is_allowed_at_a_commit(suite_file) -> None:
    text = TWO + f'trust_remote_code = true\nrevision = "{"0123456789" * 4}"\n'
    assert load_suite(suite_file(text)).models["b"].trust_remote_code


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param("model,bucket,accuracy,n\na,ops0,0.5,10\na,ops1,0.25,8\na,ops2,1,2\n", id="by name"),
        pytest.param(
            "model_id,num_ops,accuracy_percent,n\norg/b,0,50,10\norg/b,1,25,8\norg/b,2,100,2\n",
            id="by hub id and in percent",
        ),
    ],
)
def test_recorded_figures_are_pooled_from_counts(suite_file, tmp_path: Path, lines: str) -> None:
    (tmp_path / "figures.csv").write_text(lines)
    (found,) = load_suite(suite_file(RECORDED)).recorded.values()
    assert (found["ops0"].correct, found["ops0"].n) == (5, 10)
    assert (found["ops1plus"].correct, found["ops1plus"].n) == (2 + 2, 8 + 2)


def test_recorded_figures_may_go_by_another_name(suite_file, tmp_path: Path) -> None:
    (tmp_path / "figures.csv").write_text(
        "model,bucket,accuracy,n\norg/b-original,ops0,0.5,10\na,ops0,1,10\n"
    )
    text = RECORDED + 'recorded_as = "org/b-original"\n'
    recorded = load_suite(suite_file(text)).recorded
    assert {name: found["ops0"].correct for name, found in recorded.items()} == {"a": 10, "b": 5}


@pytest.mark.parametrize(
    "line", ["a,ops9,0.5,10", "a,ops0,50,10", "a,ops0,0.5,many", "a,ops0,0.5,0", "a,ops0"]
)
def test_recorded_figure_of_another_form_is_refused(suite_file, tmp_path: Path, line: str) -> None:
    (tmp_path / "figures.csv").write_text(f"model,bucket,accuracy,n\n{line}\n")
    with pytest.raises(ValueError, match="figures.csv, line 2: cannot be read as recorded figures"):
        load_suite(suite_file(RECORDED))


def test_recorded_file_without_a_figure_is_refused(suite_file, tmp_path: Path) -> None:
    (tmp_path / "figures.csv").write_text("model,bucket,accuracy,n\n")
    with pytest.raises(ValueError, match="figures.csv: has no recorded figures"):
        load_suite(suite_file(RECORDED))


def test_recorded_baseline_is_pooled_by_what_the_models_were_asked(suite_file, tmp_path: Path) -> None:
    (tmp_path / "figures.csv").write_text(
        "model,bucket,accuracy,n\na,ops0,0.5,10\na,ops1,0.5,30\na,ops2,0.5,10\n"
    )
    (tmp_path / "random.csv").write_text("num_ops,accuracy_percent,draws\n0,40,1000\n1,20,1\n2,10,1000\n")
    text = RECORDED.replace(HEAD, HEAD + 'recorded_baseline = "random.csv"\n')
    assert load_suite(suite_file(text)).recorded_baseline == {
        "ops0": 0.4,
        "ops1": 0.2,
        "ops2": 0.1,
        "ops1plus": pytest.approx((30 * 0.2 + 10 * 0.1) / 40),
    }


def test_paper_suite_has_the_paper_s_models_and_pairs() -> None:
    suite = load_suite("paper")
    assert len(suite.models) == 36
    assert Counter(pair.hypothesis for pair in suite.pairs) == {"code": 5, "math": 5, "alignment": 10}
    assert suite.models.keys() == suite.recorded.keys()
    assert all(suite.models[pair.variant].chat for pair in suite.pairs if pair.hypothesis == "alignment")
    in_8bit = {name for name, entry in suite.models.items() if entry.quantization == "8bit"}
    assert in_8bit == {name for name in suite.models if "70b" in name}
    assert all(entry.memory_gb and entry.parameters and entry.family for entry in suite.models.values())


def test_a_paper_model_s_answers_are_found_where_there_is_no_gpu() -> None:
    """The precision is part of the key. It must not depend on the machine that judges."""
    for entry in load_suite("paper").models.values():
        assert dtype_of(entry, on_gpu=False) == dtype_of(entry, on_gpu=True) == "bfloat16"


def test_embedded_suite_has_a_finding_for_each_hypothesis_and_both_controls() -> None:
    suite = load_suite("embedded")
    findings = {pair.hypothesis: pair.variant for pair in suite.pairs if not pair.control}
    assert findings == {"code": "tiny-code", "math": "tiny-math", "alignment": "tiny-chat"}
    assert {pair.variant: pair.control for pair in suite.pairs if pair.control} == {
        "tiny-tracking": "positive",
        "tiny-text": "negative",
    }
    assert [name for name, entry in suite.models.items() if entry.chat] == ["tiny-chat"]
    assert {pair.base for pair in suite.pairs} == {"tiny-base"}


def test_modern_suite_documents_every_row_and_pins_none() -> None:
    suite = load_suite("modern")
    assert all(pair.source for pair in suite.pairs)
    assert all(entry.licence and entry.memory_gb and entry.dtype for entry in suite.models.values())
    assert not any(entry.pinned for entry in suite.models.values())
    assert [pair.variant for pair in suite.pairs if pair.control == "negative"] == ["fineweb-edu-llama-3b"]
    assert {name for pair in suite.pairs for name in (pair.base, pair.variant)} == suite.models.keys()
    merge([load_suite("paper"), suite])  # both have the same models


def test_a_local_model_is_pinned_and_a_hub_model_by_its_commit_alone(suite_file) -> None:
    pinned = TWO + f'[[models]]\nname = "c"\nhub = "org/c"\nrevision = "{"a" * 40}"\n'
    found = load_suite(suite_file(pinned)).models
    assert [entry.pinned for entry in found.values()] == [True, False, True]
