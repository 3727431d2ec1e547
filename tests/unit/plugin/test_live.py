"""The line of progress below the output of pytest."""

import pytest

from bench.plugin import live


def test_the_line_names_models_in_work_and_says_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    pace = live.Pace(prompts=100)
    assert pace.line({}) == "working, 0:00"
    now[0] = 10
    assert pace.line({"one": 20}) == "one 20 of 100 prompts, 0:10"  # one count gives no speed
    now[0] = 20
    assert pace.line({"one": 40}) == "one 40 of 100 prompts, 0:20, 30 s left"
    now[0] = 80
    assert pace.line({"one": 100, "two": 1}) == "two 1 of 100 prompts, 1:20"
