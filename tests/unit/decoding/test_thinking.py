"""Models that think well, badly and without end: their answers are read, and their thinking never is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import example as case
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.decoding.automaton import encode_inside
from bench.decoding.client import Server
from bench.decoding.reference import Thinker
from bench.decoding.server import ServerEngine
from bench.decoding.thinking import ThinkingEngine, thinking_tokens, thought_of
from bench.inputs import InputError
from bench.models.chat import closing_tag
from bench.records import Completion, Counters, ModelEntry, Prompt
from bench.scoring.answers import read_answer
from bench.speed.scripted import BIAS
from bench.task.examples import examples
from bench.task.prompts import PROTOCOLS, SHOTS, build, constraint, gold_statement

TAG = "</think>"
THINK = PROTOCOLS["think"]
RULE = constraint(THINK)
EXAMPLES = examples(SHOTS)[2:5]
PROMPTS = [build(one, THINK) for one in EXAMPLES]
GOLD = {prompt.text: gold_statement(one) for prompt, one in zip(PROMPTS, EXAMPLES, strict=True)}
WELL = "The car is gone and the plane came. </think>"
BADLY = f"{gold_statement(EXAMPLES[0])} But no: all boxes are empty.\n\n </think>"
ENDLESS = f"Let me see. {gold_statement(EXAMPLES[0])} Wait, the car "


def asked_in(text: str) -> str:
    """The prompt of the run that a longer prompt continues."""
    return max((prompt for prompt in GOLD if text.startswith(prompt)), key=len)


class Answers:
    """An engine that gives the right statement to any prompt that begins like one of the run's prompts."""

    name, reason, counters = "reference/1", "made up", Counters()

    def __init__(self) -> None:
        self.asked: list[str] = []

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Completion]]]:
        for prompt in prompts:
            self.asked.append(prompt.text)
            yield [(prompt, Completion(GOLD[asked_in(prompt.text)], "stop", 99))]


def thinking(*texts: str, tag: str = TAG) -> tuple[list[tuple[Prompt, Completion]], Answers]:
    """The run's prompts, each with its scripted thinking."""
    pairs = list(zip(PROMPTS, texts, strict=False))
    engine = Answers()
    batch = [(prompt, thought_of(text, tag, len(text.split()), 7)) for prompt, text in pairs]
    asked = ThinkingEngine(engine, lambda prompts: iter([batch]), max_tokens=64)
    return [done for pack in asked.complete([p for p, _ in pairs]) for done in pack], engine


@settings(deadline=None, database=None)
@given(st.text().filter(lambda text: TAG not in text))
@case(ENDLESS)
@case(gold_statement(EXAMPLES[0]))
@case(f"\n\n{gold_statement(EXAMPLES[0])}\n\n")
def test_no_answer_is_ever_read_from_unfinished_thinking(text: str) -> None:
    [(_, done)], engine = thinking(text)
    assert engine.asked == []
    assert done.finish_reason == "unfinished"
    answer = read_answer(done, RULE)
    assert answer.form == "unfinished"
    assert answer.boxes == (None,) * 7
    assert thinking_tokens(done) == len(text.split())


@settings(deadline=None, database=None)
@given(st.text(), st.text())
@case(f"{gold_statement(EXAMPLES[2])}\n\n", "")
def test_what_is_read_is_the_statement_behind_the_thinking(before: str, after: str) -> None:
    """With any thinking, even with statements in it, and with any text that a server adds after the tag."""
    [(prompt, done)], engine = thinking(before + TAG + after)
    assert engine.asked == [f"{prompt.text}{before.partition(TAG)[0]}{TAG}\n\n"]
    answer = read_answer(Completion(done.answer, done.finish_reason, 1), RULE)
    assert answer.form == "whole"
    assert answer.boxes == tuple(query.target for query in EXAMPLES[0].queries)


class Scripted(Thinker):
    """Writes a thought for each prompt of the batch: a bias on the logits of a real model."""

    def __init__(self, *args, scripts: dict[str, str], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        texts = encode_inside(self.tokenizer, list(scripts.values()))
        self.scripts = dict(zip(scripts, texts, strict=True))

    def think_batch(self, texts: list[str]):
        self.rows, self.step = [self.scripts[text] for text in texts], 0
        return super().think_batch(texts)

    def process(self, input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        for row, tokens in enumerate(self.rows):
            end = self.tokenizer.eos_token_id if self.step == len(tokens) else None
            logits[row, tokens[self.step] if self.step < len(tokens) else end or 0] += BIAS
        self.step += 1
        return super().process(input_ids, logits)


def test_a_loaded_model_thinks_up_to_its_tag_or_its_limit(tiny_base) -> None:
    """One finishes, one is cut at the limit, and one ends the sequence without its tag, all in one batch."""
    texts = [prompt.text for prompt in PROMPTS]
    scripts = dict(zip(texts, (WELL, ENDLESS * 3, "I give up."), strict=True))
    thinker = Scripted(tiny_base.model, tiny_base.tokenizer, TAG, 64, counters=Counters(), scripts=scripts)
    found = {prompt.text: thought for batch in thinker.think(PROMPTS) for prompt, thought in batch}
    well, endless, gave_up = (found[text] for text in texts)
    assert (well.text, well.finished) == (WELL, True)
    assert well.tokens == len(thinker.scripts[texts[0]])
    assert (endless.finished, endless.tokens) == (False, 64)
    assert (ENDLESS * 3).startswith(endless.text)
    assert (gave_up.text, gave_up.finished) == ("I give up.", False)
    assert thinker.counters.forward_passes == 64
    assert thinker.counters.model_tokens == sum(found[text].prompt_tokens for text in texts) + 3 * 63
    assert [thought.prompt_tokens for thought in (well, endless)] == [
        len(tiny_base.tokenizer(text).input_ids) for text in texts[:2]
    ]


def test_a_batch_of_thinking_that_does_not_fit_is_halved(tiny_base, monkeypatch) -> None:
    thinker = Thinker(tiny_base.model, tiny_base.tokenizer, TAG, 4, counters=Counters(), batch_size=3)
    sizes = []

    def think_batch(texts: list[str], whole=thinker.think_batch):
        sizes.append(len(texts))
        if len(texts) > 1:
            raise torch.OutOfMemoryError("the device is full")
        return whole(texts)

    monkeypatch.setattr(thinker, "think_batch", think_batch)
    found = [prompt for batch in thinker.think(PROMPTS) for prompt, _ in batch]
    assert sorted(prompt.text for prompt in found) == sorted(GOLD)
    assert sizes == [3, 1, 1, 1]


@pytest.mark.parametrize("dialect", ["vllm", "sglang", "llamacpp"])
def test_a_served_model_thinks_and_then_answers_under_the_constraint(dialect: str, serve) -> None:
    thoughts = dict(zip((prompt.text for prompt in PROMPTS), (WELL, BADLY, ENDLESS), strict=True))
    right = gold_statement(EXAMPLES[0])
    wrong = "Statement: " + ", ".join(f"Box {box} contains nothing" for box in range(7)) + "."

    def says(prompt: str) -> str:
        asked = asked_in(prompt)
        if prompt == asked:
            return f"{thoughts[asked]} and so on"
        return right if asked == PROMPTS[0].text else wrong

    served = serve(says, dialect)
    with closing(Server(served.url)) as server:
        asked = ServerEngine(server, "one", RULE, PROMPTS[0])
        served.slow = 0.1
        engine = ThinkingEngine(asked, partial(asked.think, tag=TAG, max_tokens=64), 64)
        done = {prompt.text: answer for pack in engine.complete(PROMPTS) for prompt, answer in pack}
    well, badly, endless = (done[prompt.text] for prompt in PROMPTS)
    assert well.answer == right
    assert badly.answer == wrong
    assert endless.finish_reason == "unfinished"
    assert engine.name == f"think/1 64 server/1 {dialect}"
    assert thinking_tokens(well) >= len(WELL.split())
    assert asked.counters.total_seconds >= 2 * served.slow


@pytest.mark.parametrize(
    ("text", "tokens"),
    [pytest.param("a" * 100_000, 64, id="too long"), pytest.param("a", 65, id="too many tokens")],
)
def test_a_thought_whose_numbers_cannot_be_right_is_refused(text: str, tokens: int, serve) -> None:
    def edit(answer: dict[str, Any]) -> dict[str, Any]:
        answer["choices"][0]["text"], answer["usage"]["completion_tokens"] = text, tokens
        return answer

    served = serve(lambda prompt: "so be it")
    with closing(Server(served.url)) as server:
        engine = ServerEngine(server, "one", RULE, PROMPTS[0])
        served.edit = edit
        with pytest.raises(InputError, match=f"counted {tokens} tokens in an answer of {len(text)} char"):
            list(engine.think(PROMPTS[:1], TAG, 64))


class Template:
    def __init__(self, chat_template: str | None) -> None:
        self.chat_template = chat_template


@pytest.mark.parametrize(
    ("entry", "template", "tag"),
    [
        pytest.param(ModelEntry("m", "m", think_end="</x>"), "... </think> ...", "</x>", id="the suite says"),
        pytest.param(ModelEntry("m", "m"), "{{ '<think></think>' }}", "</think>", id="the template says"),
        pytest.param(ModelEntry("m", "m"), "[THINK]..[/THINK]", "[/THINK]", id="another's"),
    ],
)
def test_the_tag_is_the_suite_s_or_the_template_s(entry: ModelEntry, template: str, tag: str) -> None:
    assert closing_tag(entry, Template(template)) == tag


@pytest.mark.parametrize("tokenizer", [None, Template(None), Template("{{ messages }}")])
def test_a_model_without_a_tag_is_refused_with_what_to_do(tokenizer) -> None:
    with pytest.raises(ValueError, match='think_end = "</think>"'):
        closing_tag(ModelEntry("m", "m"), tokenizer)
