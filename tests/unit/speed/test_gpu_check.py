"""gpu-check makes every check that the machine allows. A failing check does not hide the others."""

from __future__ import annotations

import pytest

from bench.__main__ import main
from bench.speed import gpu_check, scripted


def rows(text: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    return {name: others for name, *others in cells}


def test_a_cpu_makes_the_checks_that_need_no_card(monkeypatch, capsys):
    monkeypatch.setattr(gpu_check, "PROMPTS", 2)
    monkeypatch.setattr(gpu_check, "LARGE_RUN", "--err 0.1 --scenarios 1 --repeats 1 --reference-prompts 2")
    monkeypatch.setitem(scripted.SHAPES, "7b", (16, 16, 1, 2))
    monkeypatch.setattr(scripted, "LARGE_VOCABULARY", 1000)
    monkeypatch.delitem(gpu_check.CHECKS, "pytest -n 2")  # the plugin's own tests have it
    assert main(["gpu-check", "--device=cpu"]) == 0
    found = rows(capsys.readouterr().out)
    assert found["both engines, float32"][:2] == ["ok", "12 of 12 answers identical, token for token"]
    assert found["large model"][0] == "ok" and "2 of 2 answers identical" in found["large model"][1]
    assert [found[name][0] for name in ("8 bits", "4 bits", "out of memory")] == ["not run"] * 3


def test_a_check_that_fails_is_one_row_and_exit_status_1(monkeypatch, capsys):
    def broken(args):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(gpu_check, "CHECKS", {"one": broken, "two": lambda args: "fine"})
    assert main(["gpu-check", "--device=cpu"]) == 1
    found = rows(capsys.readouterr().out)
    assert found["one"][:2] == ["failed", "RuntimeError: two lines"]
    assert found["two"][:2] == ["ok", "fine"]


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["gpu-check"]) == 4
    assert "no GPU is visible" in capsys.readouterr().err


@pytest.mark.parametrize("holds", [True, False])
def test_a_finding_that_does_not_hold_is_raised(holds):
    if holds:
        assert gpu_check.require(True, "as it should be") == "as it should be"
    else:
        with pytest.raises(RuntimeError, match="as it should be"):
            gpu_check.require(False, "as it should be")
