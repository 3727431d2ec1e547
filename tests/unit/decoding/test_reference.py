"""The reference engine gives outlines' answers, with finish reason and token counts."""

from __future__ import annotations

import copy
import importlib
import sys

import outlines
import pytest
import torch
from outlines.types import Regex

from bench.decoding.reference import MASK, ReferenceEngine, uncompiled_mask
from bench.task.prompts import Constraint


@pytest.fixture
def generator(random_model, tokenizer, paper):
    """outlines' own generator, with its own spelling and automaton."""
    outlined = outlines.from_transformers(random_model(), copy.copy(tokenizer))
    return outlines.Generator(outlined, Regex(paper.regex), backend="outlines_core")


def test_its_texts_are_those_of_outlines_own_generator(
    generator, random_model, tokenizer, prompts, paper, complete
):
    texts = generator.batch([prompt.text for prompt in prompts[:3]], max_new_tokens=100, do_sample=False)
    done = complete(ReferenceEngine(random_model(), tokenizer, paper, batch_size=3), prompts[:3])
    assert [done[prompt.example_id].text for prompt in prompts[:3]] == texts


def test_its_automaton_is_the_one_that_outlines_builds(generator, random_model, tokenizer, paper):
    theirs = generator.logits_processor.index
    ours = ReferenceEngine(random_model(), tokenizer, paper).mask.index
    assert ours.get_transitions() == theirs.get_transitions()
    assert ours.get_initial_state() == theirs.get_initial_state()
    assert ours.get_final_states() == theirs.get_final_states()


def test_the_mask_is_compiled_outside_of_a_probe_only():
    def compiled():
        kernel = importlib.import_module(MASK)._apply_token_bitmask_inplace_kernel
        return hasattr(kernel, "_torchdynamo_orig_callable")

    before = importlib.import_module(MASK)
    with uncompiled_mask():
        assert not compiled()
    assert compiled()
    assert importlib.import_module(MASK) is before
    del sys.modules[MASK]  # as before the first use
    with uncompiled_mask():
        assert not compiled()
    assert compiled()


def test_a_batch_answers_as_each_prompt_alone(random_model, tokenizer, prompts, complete):
    short = Constraint("Statement: [a-z ]+", 12)
    together, alone = (
        ReferenceEngine(random_model(), tokenizer, short, batch_size=size) for size in (len(prompts), 1)
    )
    assert complete(together, prompts) == complete(alone, prompts)


@pytest.mark.parametrize(
    ("regex", "limit", "text", "reason"),
    [
        pytest.param("(key|cat)", 9, None, "stop", id="ends with the constraint"),
        pytest.param("x{20}", 7, "x" * 7, "length", id="cut at the limit"),
        pytest.param("x{7}", 7, "x" * 7, "length", id="no room for the end of the sequence"),
        pytest.param("x{7}", 8, "x" * 7, "stop", id="room for the end of the sequence"),
    ],
)
def test_it_says_how_an_answer_ended(regex, limit, text, reason, random_model, tokenizer, prompts, complete):
    done = complete(ReferenceEngine(random_model(), tokenizer, Constraint(regex, limit)), prompts[:1])
    (completion,) = done.values()
    assert completion.finish_reason == reason
    assert completion.text == text or (text is None and completion.text in ("key", "cat"))
    assert completion.prompt_tokens == len(tokenizer(prompts[0].text).input_ids)
    assert tokenizer.decode(completion.token_ids) == completion.text


def test_a_penalty_in_the_checkpoint_does_not_change_answers(random_model, tokenizer, prompts, complete):
    short = Constraint("Statement: [a-z ]+", 24)
    plain, penal = random_model(), random_model()
    penal.generation_config.repetition_penalty = 3.0
    assert complete(ReferenceEngine(penal, tokenizer, short), prompts[:2]) == complete(
        ReferenceEngine(plain, tokenizer, short), prompts[:2]
    )
    assert penal.generation_config.repetition_penalty == 3.0


def test_a_batch_that_does_not_fit_is_halved(random_model, tokenizer, prompts, complete, monkeypatch):
    engine = ReferenceEngine(random_model(), tokenizer, Constraint("x", 2), batch_size=7)
    sizes = []

    def complete_batch(texts, whole=engine.complete_batch):
        sizes.append(len(texts))
        if len(texts) > 2:
            raise torch.OutOfMemoryError("the device is full")
        return whole(texts)

    monkeypatch.setattr(engine, "complete_batch", complete_batch)
    assert len(complete(engine, prompts)) == len(prompts)
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_its_counters_count_passes_and_tokens(random_model, tokenizer, prompts, complete):
    engine = ReferenceEngine(random_model(), tokenizer, Constraint("x{5}", 3), batch_size=2)
    done = complete(engine, prompts[:2])
    assert engine.counters.forward_passes == 3
    assert (
        engine.counters.model_tokens == sum(completion.prompt_tokens for completion in done.values()) + 2 * 2
    )
