"""Documents for other harnesses: they read answers like this suite."""

from __future__ import annotations

import subprocess
import sys

import pytest

import bench
from bench.exports.boxes import buckets_of, score
from bench.exports.tasks import document, yaml_of
from bench.records import Completion, Example
from bench.scoring import scores
from bench.scoring.answers import read_answer
from bench.task.prompts import PROTOCOLS, build, constraint, gold_statement

PAPER = PROTOCOLS["paper"]
yaml = pytest.importorskip("yaml", reason="needs pip install pyyaml", exc_type=ImportError)


@pytest.mark.parametrize("text", ["gold", "\nStatement: Box 0 contains the car, Box 1", "nothing at all", ""])
def test_a_text_is_scored_as_the_suite_scores_it(evaluation_examples: tuple[Example, ...], text: str) -> None:
    for example in evaluation_examples[::90]:
        said = gold_statement(example) + "\n\nDescription: Box 0" if text == "gold" else text
        answer = read_answer(Completion(said, "stop", 0), constraint(PAPER))
        expected = [entry.correct for entry in scores.score(example, answer)]
        doc = document(example, PAPER, 100)
        assert [correct for correct, _ in score(doc, said)] == expected
        assert all(expected) == (text == "gold")


def test_a_document_has_our_prompt_and_its_queries(evaluation_examples: tuple[Example, ...]) -> None:
    example = evaluation_examples[100]
    doc = document(example, PAPER, 100)
    assert doc["prompt"] == build(example, PAPER).text
    assert [box["num_ops"] for box in doc["boxes"]] == [query.num_ops for query in example.queries]
    assert [role for role, _ in doc["turns"]] == ["system", *["user", "assistant"] * 2, "user"]


def test_buckets_are_those_of_the_suite() -> None:
    assert [buckets_of(num_ops) for num_ops in (0, 1, 7)] == [["0"], ["1", "1plus"], ["7", "1plus"]]


@pytest.mark.parametrize(("name", "prefix"), [("boxes", None), ("boxes_prefilled", "\nStatement:")])
def test_the_yaml_has_the_limit_and_a_metric_for_each_bucket(name: str, prefix: str | None) -> None:
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_constructor("!function", lambda loader, node: node.value)
    task = yaml.load(yaml_of(name, 256, ["0", "1plus"]), loader)
    assert task["task"] == name and task.get("gen_prefix") == prefix
    assert task["generation_kwargs"]["max_gen_toks"] == 256
    found = [metric["metric"] for metric in task["metric_list"]]
    assert found == ["accuracy_0", "random_0", "accuracy_1plus", "random_1plus"]


def test_a_harness_needs_no_package_but_ours() -> None:
    """-S: without site-packages."""
    code = f"import sys; sys.path.insert(0, {str(bench.ROOT)!r}); import bench.exports.boxes"
    subprocess.run([sys.executable, "-S", "-c", code], check=True)
