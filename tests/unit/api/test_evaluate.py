"""bench.evaluate and bench.compare, called as in a notebook or a training script."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import bench
from bench.api.evaluate import plan_of
from bench.api.memory import AT_ONCE, InMemory, evenly_spread
from bench.models import LoadedModel
from bench.models.suites import load_suite
from bench.run.evaluate import evaluate as evaluate_entry
from bench.store import Store

COLUMNS = ["n", "correct", "accuracy", "low", "high", "scenarios", "design_effect", "random"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test runs in an empty folder, and leaves it empty."""
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def model(tiny_base: LoadedModel) -> torch.nn.Module:
    return copy.deepcopy(tiny_base.model)


@pytest.fixture(scope="module")
def by_name() -> bench.Result:
    return bench.evaluate("tiny-base", limit=4, progress=False)


def test_three_lines_give_a_table(by_name: bench.Result) -> None:
    found = by_name.accuracy()
    assert list(found.columns) == COLUMNS
    assert found.loc[[f"ops{num_ops}" for num_ops in range(5)], "n"].sum() <= 4 * 7
    assert found.loc["ops0", "n"] + found.loc["ops1plus", "n"] == 4 * 7
    assert (found.correct / found.n == found.accuracy).all()
    assert found[["accuracy", "low", "high", "random"]].stack().between(0, 1).all()


def test_every_answer_has_a_row(by_name: bench.Result) -> None:
    rows = by_name.answers()
    assert len(rows) == 4 * 7
    assert rows.groupby("bucket").correct.sum().to_dict() == {
        bucket: found.correct for bucket, found in by_name.accuracies.items() if bucket != "ops1plus"
    }
    assert rows.loc[rows.correct, "answer"].map(names).equals(rows.loc[rows.correct, "gold"].map(names))
    assert rows.loc[rows.correct, "error"].isna().all() and rows.loc[~rows.correct, "error"].notna().all()
    assert rows.prompt.str.startswith("Given the description").all()


def names(clause: str) -> frozenset[str]:
    return frozenset(clause.split(" and "))


def test_a_model_in_memory_gives_the_answers_of_its_checkpoint(
    model: torch.nn.Module, tiny_base: LoadedModel, by_name: bench.Result
) -> None:
    found = bench.evaluate(model.train(), tiny_base.tokenizer, limit=4, progress=False)
    assert found.evaluation.completions == by_name.evaluation.completions
    assert found.evaluation.model == "tiny-base"


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_a_model_in_memory_stays_as_it_was(
    model: torch.nn.Module, tiny_base: LoadedModel, engine: str
) -> None:
    model.train()
    model.model.layers[1].eval()  # frozen by the caller
    model.config.use_cache = False  # required by gradient checkpointing
    model.generation_config.temperature = 0.5
    tokenizer = copy.deepcopy(tiny_base.tokenizer)
    tokenizer.padding_side, tokenizer.pad_token = "right", None
    before = state_of(model, tokenizer)
    bench.evaluate(model, tokenizer, limit=2, engine=engine, progress=False)
    after = state_of(model, tokenizer)
    assert {name: after[name] for name in after if after[name] != before[name]} == {}


def state_of(model: torch.nn.Module, tokenizer: object) -> dict[str, object]:
    """All state of the model that a training run depends on."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "modes": [module.training for module in model.modules()],
        "tensors": {
            name: (id(tensor), tensor._version, tensor.requires_grad) for name, tensor in tensors.items()
        },
        "gradients": [weight.grad for weight in model.parameters()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "config": model.config.to_dict(),
        "attention": model.config._attn_implementation,
        "generation config": (id(model.generation_config), model.generation_config.to_dict()),
        "where": (model.device, model.dtype),
        "random state": torch.get_rng_state().tolist(),
        "grad mode": torch.is_grad_enabled(),
        "tokenizer": (tokenizer.padding_side, tokenizer.pad_token),
    }


def test_a_model_can_train_on_after_it_was_asked(model: torch.nn.Module, tiny_base: LoadedModel) -> None:
    """Tensors made in inference mode would make the backward pass fail."""
    bench.evaluate(model.train(), tiny_base.tokenizer, limit=2, progress=False)
    ids = torch.arange(20)[None]
    model(input_ids=ids, labels=ids).loss.backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_wrapped_models_are_the_model_within(model: torch.nn.Module, tiny_base: LoadedModel) -> None:
    wrapped = torch.nn.DataParallel(torch.compile(model))
    found = bench.evaluate(wrapped, tiny_base.tokenizer, limit=1, progress=False)
    assert len(found.plan.examples) == 1


def test_a_comparison_takes_names_and_results(by_name: bench.Result) -> None:
    found = bench.compare(by_name, "tiny-tracking", limit=4, progress=False)
    assert repr(found) == found.verdict.sentence and "tiny-tracking" in found.verdict.sentence
    table = found.table()
    assert table.loc["ops1plus", "base"] == by_name.accuracies["ops1plus"].value
    assert (table.variant - table.base - table.difference).abs().max() < 1e-12


def test_a_pair_needs_one_set_of_examples_and_two_names(by_name: bench.Result) -> None:
    with pytest.raises(ValueError, match="different examples"):
        bench.compare(by_name, bench.evaluate("tiny-code", limit=3, progress=False))
    with pytest.raises(ValueError, match="both models are called tiny-base"):
        bench.compare(by_name, by_name)


@pytest.mark.parametrize(("option", "value"), [("protocol", "strict"), ("metric", "logprob")])
def test_a_pair_needs_one_protocol_and_one_metric(option: str, value: str, by_name: bench.Result) -> None:
    plan = replace(by_name.plan, options=replace(by_name.plan.options, **{option: value}))
    other = bench.Result(replace(by_name.evaluation, model="other"), plan)
    with pytest.raises(ValueError, match=f"the variant {value}"):
        bench.compare(by_name, other)


def test_results_show_as_tables_and_figures_in_a_notebook(by_name: bench.Result) -> None:
    strange = bench.Result(replace(by_name.evaluation, model="<b>x</b>"), by_name.plan)
    assert "<table" in by_name._repr_html_() and "<b>" not in strange._repr_html_()
    assert by_name.plot()._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        pytest.param(
            {"model": "no/such-model"}, "is not downloaded. Run hf download no/such-model", id="hub"
        ),
        pytest.param({"model": "./nowhere"}, "no model at nowhere", id="folder"),
        pytest.param({"model": "a b"}, "is not a model", id="name"),
        pytest.param({"model": "tiny-base", "protocol": "lax"}, "unknown protocol", id="protocol"),
        pytest.param({"model": "tiny-base", "engine": "server"}, "no engine 'server'", id="engine"),
        pytest.param({"model": torch.nn.Linear(1, 1)}, "needs its tokenizer", id="tokenizer"),
        pytest.param(
            {"model": torch.nn.Linear(1, 1), "tokenizer": "x"}, "a transformers model", id="model"
        ),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(asked: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        bench.evaluate(**asked)
    assert "\n" not in str(raised.value)


def test_no_batch_begins_after_the_time_is_up(model: torch.nn.Module, tiny_base: LoadedModel) -> None:
    asker = InMemory(model, tiny_base.tokenizer, plan_of(limit=40, progress=False))
    evaluation, plan = asker.evaluate(seconds=1e-9)
    asked = [example.id for example in plan.examples]
    assert len(asked) == AT_ONCE and asked == sorted(asked) and evaluation.completions.keys() == set(asked)


def test_every_beginning_of_the_order_under_a_time_limit_is_spread_over_all() -> None:
    order = evenly_spread(716)
    assert sorted(order) == list(range(716))
    gaps = [after - before for before, after in pairwise([0, *sorted(order[:64]), 716])]
    assert max(gaps) < 3 * 716 / 64


@pytest.mark.nightly
def test_all_716_answers_are_those_of_the_suite(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The suite's model from its checkpoint, compared with a model in memory and in training mode."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = bench.FIXTURES / "tiny" / "tiny-tracking"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).train()
    found = bench.evaluate(model, AutoTokenizer.from_pretrained(folder), progress=False)
    entry = load_suite("embedded").models["tiny-tracking"]
    expected = evaluate_entry(entry, found.plan, Store(":memory:"), wait=0.0)
    assert len(expected.completions) == 716
    assert found.evaluation.completions == expected.completions
