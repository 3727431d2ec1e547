"""The speculative engine gives outlines' answers, with any drafts and packs."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.decoding import select
from bench.decoding.reference import ReferenceEngine
from bench.decoding.select import engine_for
from bench.decoding.tree.engine import SpeculativeEngine
from bench.task.prompts import Constraint

SHORT = Constraint("Statement: (Box [0-9] contains( [a-z]+)*, ){3}.*", 30)


@pytest.fixture(scope="module")
def model(random_model):
    return random_model()


@pytest.fixture(scope="module")
def expected(model, tokenizer, prompts, complete):
    return complete(ReferenceEngine(model, tokenizer, SHORT), prompts)


@pytest.fixture(scope="module")
def engine(model, tokenizer):
    return SpeculativeEngine(model, tokenizer, SHORT)


def patient(engine):
    """The engine, which never hands over when drafts do not pay."""
    engine.costs.balance = float("inf")
    return engine


def test_the_answers_differ_from_prompt_to_prompt(expected):
    assert len({completion.token_ids for completion in expected.values()}) > len(expected) / 2


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_drafts_change_the_cost_but_never_an_answer(data, engine, prompts, expected, complete):
    drafts = [prompt.drafts for prompt in prompts]
    nothing = tuple((f"Box {box} contains nothing",) for box in range(7))
    chosen = [data.draw(st.sampled_from([*drafts, nothing, (), (("",),) * 7])) for _ in prompts]
    disguised = [replace(prompt, drafts=other) for prompt, other in zip(prompts, chosen, strict=True)]
    assert complete(patient(engine), disguised) == expected


@pytest.mark.parametrize("pack_tokens", [1, 300, 100_000])
def test_packs_of_any_size_give_the_same_answers(pack_tokens, model, tokenizer, prompts, expected, complete):
    engine = SpeculativeEngine(model, tokenizer, SHORT, pack_tokens=pack_tokens)
    assert complete(patient(engine), prompts) == expected


def test_an_output_layer_in_part_gives_the_same_answers(engine, prompts, expected, complete, monkeypatch):
    monkeypatch.setattr("bench.decoding.tree.attention.WORTH", 0)
    assert engine.tables.narrow.any()
    assert complete(patient(engine), prompts) == expected


def test_duplicate_prompts_are_all_answered(engine, prompts, expected):
    twice = [*prompts, *prompts]
    done = [pair for pack in patient(engine).complete(twice) for pair in pack]
    assert len(done) == len(twice)
    assert all(completion == expected[prompt.example_id] for prompt, completion in done)


def test_a_pack_that_does_not_fit_is_halved(model, tokenizer, prompts, expected, complete, monkeypatch):
    engine = SpeculativeEngine(model, tokenizer, SHORT, pack_tokens=2000)

    def verify(tree, branches, whole=engine.verify):
        if len(branches) > 2:
            tree.add([], [1, 2, 3])  # the state after a failed pass
            raise torch.OutOfMemoryError("the device is full")
        whole(tree, branches)

    monkeypatch.setattr(engine, "verify", verify)
    assert complete(patient(engine), prompts) == expected
    assert engine.pack_tokens < 2000


def test_a_pass_asks_for_no_more_logits_than_fit(engine, prompts, expected, complete, monkeypatch):
    asked = []

    def choose(logits, states, whole=engine.choose):
        asked.append(len(logits))
        return whole(logits, states)

    monkeypatch.setattr(engine, "choose", choose)
    engine.positions = 20
    assert complete(patient(engine), prompts) == expected
    assert 1 < max(asked) <= 20 + len(prompts)


def test_prompts_are_left_to_the_reference_engine_when_drafts_do_not_pay(
    model, tokenizer, prompts, expected, complete
):
    engine = SpeculativeEngine(model, tokenizer, SHORT, pack_tokens=1)
    engine.costs.balance = 0.0
    assert complete(engine, prompts) == expected
    assert "6 of 7 prompts went to the reference engine" in engine.reason


@pytest.mark.parametrize("engine_class", [ReferenceEngine, SpeculativeEngine])
def test_logits_that_are_not_finite_are_an_error(engine_class, random_model, tokenizer, prompts, complete):
    broken = random_model()
    torch.nn.init.constant_(broken.lm_head.weight, float("nan"))
    with pytest.raises(FloatingPointError, match="not finite"):
        complete(engine_class(broken, tokenizer, SHORT), prompts)


@pytest.mark.parametrize(
    ("architecture", "changes", "why"),
    [
        pytest.param("bloom", {"n_layer": 2, "n_head": 4}, "takes no position_ids", id="Bloom"),
        pytest.param("mamba", {"state_size": 4}, "takes no", id="Mamba"),
        pytest.param("falcon", {"alibi": True, "head_dim": None}, "ALiBi", id="Falcon with ALiBi"),
    ],
)
def test_models_that_cannot_run_trees_fall_back_and_say_why(
    architecture, changes, why, random_model, tokenizer
):
    unfit = random_model(architecture, **changes)
    engine = engine_for("auto", unfit, tokenizer, SHORT)
    assert engine.name == ReferenceEngine.name
    assert why in engine.reason
    with pytest.raises(ValueError, match="Use reference or auto"):
        engine_for("speculative", unfit, tokenizer, SHORT)


def test_a_model_that_answers_otherwise_in_a_tree_falls_back(random_model, tokenizer):
    odd = random_model()
    forward = odd.forward

    def without_mask(*args, attention_mask=None, **kwargs):
        return forward(*args, attention_mask=None if attention_mask.ndim == 4 else attention_mask, **kwargs)

    odd.forward = without_mask
    engine = engine_for("auto", odd, tokenizer, SHORT)
    assert engine.name == ReferenceEngine.name
    assert "a probe" in engine.reason


@pytest.fixture
def probes(monkeypatch, tmp_path):
    """The probes of a model, starting with an empty cache. A test may set the result of the next probe."""
    monkeypatch.setenv("BOXES_CACHE", str(tmp_path))
    found = {"times": 0, "difference": None}

    def difference(*engines):
        found["times"] += 1
        return found["difference"]

    monkeypatch.setattr(select, "difference", difference)
    return found


def test_a_probe_is_made_once_for_each_identity_and_kind_of_number(probes, model, tokenizer):
    def name(identity, model=model):
        return engine_for("auto", model, tokenizer, SHORT, identity=identity).name

    assert [name(["weights", "1.0"]), name(["weights", "1.0"])] == [SpeculativeEngine.name] * 2
    assert probes["times"] == 1
    name(["weights", "1.1"])
    name(["weights", "1.0"], copy.deepcopy(model).to(torch.bfloat16))
    assert probes["times"] == 3
    name(None)
    name(None)
    assert probes["times"] == 5


def test_a_probe_that_failed_is_made_again(probes, model, tokenizer):
    probes["difference"] = "a probe gave 1 of 2 other answers"
    for _ in range(2):
        engine = engine_for("auto", model, tokenizer, SHORT, identity="weights")
        assert (engine.name, engine.reason) == (
            ReferenceEngine.name,
            f"not speculative: {probes['difference']}",
        )
    assert probes["times"] == 2
    probes["difference"] = None
    assert engine_for("auto", model, tokenizer, SHORT, identity="weights").name == SpeculativeEngine.name


def test_an_unknown_engine_is_named_with_those_that_exist(model, tokenizer):
    with pytest.raises(ValueError, match="no engine 'fast' .* Choose auto, reference or speculative"):
        engine_for("fast", model, tokenizer, SHORT)
