import json
from collections.abc import Callable
from pathlib import Path

import pytest
import pyzipper
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import DATA
from bench.task.examples import PASSWORD_VARIABLE, evaluation_set, examples, load_examples
from bench.task.release import MEMBER, PASSWORD, read_release, read_row
from bench.task.world import generate
from bench.task.write import rows

Lines = list[str]
SCENARIOS = tuple(generate(2, seed=7))
SMALL = [line for scenario in SCENARIOS for line in rows(scenario)]  # 2 scenarios, 13 states, 7 boxes


def make_zip(path: Path, lines: Lines, member: str = MEMBER, password: str = PASSWORD) -> Path:
    with pyzipper.AESZipFile(
        path, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES
    ) as archive:
        archive.setpassword(password.encode())
        archive.writestr(member, "".join(f"{line}\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def release_lines() -> Lines:
    """As many rows as in the paper's file, from the default evaluation set."""
    asked = {example.id for example in evaluation_set()}
    found = []
    for scenario in generate(990, seed=0):
        lines = list(rows(scenario))
        for done in range(13):
            if f"{scenario.id}-{done}" in asked:
                found += lines[7 * done : 7 * done + 7]
    return found


def test_the_file_that_the_paper_runs_is_read_as_examples(release_lines, tmp_path):
    path = make_zip(tmp_path / "boxes-dataset-v1.zip", release_lines, f"data/{MEMBER}")
    found = load_examples(f"release:{path}")
    expected = evaluation_set()
    assert [(example.description, example.queries) for example in found] == [
        (example.description, example.queries) for example in expected
    ]
    assert len({example.id for example in found}) == 716
    assert len({example.scenario_id for example in found}) == len(
        {example.scenario_id for example in expected}
    )


def test_a_file_that_lacks_a_state_has_not_the_published_counts(release_lines, tmp_path):
    with pytest.raises(ValueError, match="1303, 1410, 1083, 651, 288, 142, 106, 29"):
        read_release(make_zip(tmp_path / "short.zip", release_lines[:-7]))


def test_another_member_is_read_without_counting(tmp_path):
    found = read_release(make_zip(tmp_path / "a.zip", SMALL, "folder/test.jsonl"), member="folder/test.jsonl")
    expected = [example for scenario in SCENARIOS for example in examples(scenario)]
    assert [example.queries for example in found] == [example.queries for example in expected]


def test_rows_that_say_is_empty_are_read_too(tmp_path):
    lines = [
        json.dumps({
            "sentence": f"Box 0 contains the car, Box 1 is empty. Box {box} {contents}.",
            "sentence_masked": f"Box 0 contains the car, Box 1 is empty. Box {box} <extra_id_0> .",
            "masked_content": f"<extra_id_0> {contents}",
            "sample_id": 0,
            "numops": 0,
            "numops_by_op": {"move": 0, "remove": 0, "put": 0},
        })
        for box, contents in enumerate(["contains the car", "is empty"])
    ]  # fmt: skip
    (found,) = read_release(make_zip(tmp_path / "a.zip", lines, "a.jsonl"), member="a.jsonl")
    assert [query.target for query in found.queries] == [{"car"}, set()]


def edit(row: int, **fields) -> Callable[[Lines], Lines]:
    def change(lines: Lines) -> Lines:
        return [*lines[:row], json.dumps(json.loads(lines[row]) | fields), *lines[row + 1 :]]

    return change


def replace(row: int, old: str, new: str) -> Callable[[Lines], Lines]:
    def change(lines: Lines) -> Lines:
        return [*lines[:row], lines[row].replace(old, new), *lines[row + 1 :]]

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda lines: lines[:-1], "row 181 .* is the last", id="cut between rows"),
        pytest.param(lambda lines: [*lines[:-1], lines[-1][:-9]], "row 182", id="cut within a row"),
        pytest.param(
            lambda lines: lines[:8] + lines[9:], "row 9 .* box 2 instead of 1", id="a row left out"
        ),
        pytest.param(
            lambda lines: [lines[1], lines[0], *lines[2:]],
            "row 1 .* box 1 instead of 0",
            id="rows out of order",
        ),
        pytest.param(
            lambda lines: lines[:5] + lines[7:12] + lines[5:7] + lines[12:],
            "row 6 .* does not continue the state that row 1 begins",
            id="rows of two states mixed",
        ),
        pytest.param(
            lambda lines: lines + lines[:7], "r0000-0 does not continue r0000-0", id="a state twice"
        ),
        pytest.param(edit(10, numops=5), "row 11 .* numops 5", id="another number of operations"),
        pytest.param(
            edit(0, numops_by_op={"move": 1, "remove": 0, "put": 0}),
            "row 1 .* numops_by_op",
            id="other kinds",
        ),
        pytest.param(
            edit(3, masked_content="<extra_id_0> the axe"), "row 4", id="contents edited in one place"
        ),
        pytest.param(replace(3, "Box 3", "Box 9"), "row 4 ", id="a box that is not there"),
        pytest.param(replace(30, "Remove", "Burn"), "row 29 ", id="another operation"),
        pytest.param(replace(2, "sentence_masked", "masked"), "row 3 ", id="a field is missing"),
        pytest.param(edit(2, sentence=None), "row 3 ", id="a field of another type"),
        pytest.param(edit(2, sample_id="one"), "row 3 ", id="no number of the sample"),
        pytest.param(lambda lines: [*lines[:4], "{}", *lines[5:]], "row 5 ", id="an empty row"),
        pytest.param(lambda lines: [*lines[:4], "null", *lines[5:]], "row 5 ", id="not an object"),
        pytest.param(lambda lines: [], "no rows", id="no rows"),
    ],
)
def test_rows_that_are_not_as_released_are_refused_with_their_number(change, reason, tmp_path):
    path = make_zip(tmp_path / "edited.zip", change(SMALL), "test.jsonl")
    with pytest.raises(ValueError, match=reason) as raised:
        read_release(path, member="test.jsonl")
    assert "\n" not in str(raised.value)


def test_contents_edited_everywhere_do_not_follow_from_the_operations(tmp_path):
    sentence = json.loads(SMALL[13])["sentence_masked"].replace("<extra_id_0> .", "the axe.")
    lines = edit(13, masked_content="<extra_id_0> the axe", sentence=sentence)(SMALL)
    path = make_zip(tmp_path / "edited.zip", lines, "test.jsonl")
    with pytest.raises(ValueError, match=r"row 14 .* contents \['axe'\] instead of"):
        read_release(path, member="test.jsonl")


def test_every_wrong_password_is_one_error_for_zipcrypto():
    path = DATA / "zipcrypto.zip"  # made with Info-ZIP
    assert len(read_release(path, member="rows.jsonl")) == 2
    for number in range(1_000):  # some wrong passwords pass the one-byte check and fail later
        with pytest.raises(ValueError, match="password is wrong"):
            read_release(path, f"wrong{number}", member="rows.jsonl")


def test_a_wrong_password_is_the_same_error_for_aes(tmp_path):
    path = make_zip(tmp_path / "aes.zip", SMALL, "rows.jsonl", password="right")
    assert read_release(path, "right", member="rows.jsonl")
    with pytest.raises(ValueError, match="password is wrong"):
        read_release(path, member="rows.jsonl")


def test_the_password_comes_from_the_environment(tmp_path, monkeypatch):
    path = make_zip(tmp_path / "aes.zip", SMALL, "rows.jsonl", password="right")
    monkeypatch.setenv(PASSWORD_VARIABLE, "right")
    assert load_examples(f"release:{path}/rows.jsonl")


def test_a_damaged_zip_is_told(tmp_path):
    path = make_zip(tmp_path / "a.zip", SMALL, "rows.jsonl")
    data = bytearray(path.read_bytes())
    data[200] ^= 255
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        read_release(path, member="rows.jsonl")
    path.write_bytes(data[:300])
    with pytest.raises(ValueError, match="damaged"):
        read_release(path, member="rows.jsonl")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("release:nowhere.zip", "no data set at nowhere.zip", id="no file"),
        pytest.param("released", "Choose from evaluation, full, release:PATH.zip", id="unknown name"),
    ],
)
def test_a_data_set_that_is_not_there_is_told(name, reason):
    with pytest.raises(ValueError, match=reason):
        load_examples(name)


def test_an_unknown_version_is_told():
    with pytest.raises(ValueError, match="Choose from base, altforms"):
        load_examples("evaluation", version="klingon")


def test_a_missing_member_is_told_with_those_that_are_there(tmp_path):
    with pytest.raises(ValueError, match=r"no member few_shot.* rows\.jsonl"):
        read_release(make_zip(tmp_path / "a.zip", SMALL, "rows.jsonl"))


VALUES = st.one_of(st.none(), st.integers(), st.text(max_size=20), st.sampled_from([[], {}, True, 1.5]))
FIELDS = st.sampled_from(sorted(json.loads(SMALL[0])))
EDITED = st.builds(
    lambda line, changes: json.dumps(json.loads(line) | changes),
    st.sampled_from(SMALL),
    st.dictionaries(FIELDS, VALUES, max_size=2),
)
CUT = st.builds(lambda line, end, more: line[:end] + more, EDITED, st.integers(0, 400), st.text(max_size=5))
ROWS = st.one_of(EDITED, CUT, st.text(max_size=30))


def check_a_row_is_read_or_refused(line: str) -> None:
    try:
        read_row(1, line, "base")
    except ValueError as error:
        assert "row 1 " in str(error)


@settings(max_examples=2_000, deadline=None, database=None)
@given(ROWS)
def test_any_row_is_read_or_refused_with_its_number(line):
    check_a_row_is_read_or_refused(line)


@pytest.mark.nightly
@settings(max_examples=100_000, deadline=None, database=None)
@given(ROWS)
def test_any_of_many_rows_is_read_or_refused_with_its_number(line):
    check_a_row_is_read_or_refused(line)
