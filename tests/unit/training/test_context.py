"""The embedded models' context has room for every version of the task."""

import pytest
from transformers import AutoConfig

from bench import models
from bench.models.chat import render_for
from bench.models.suites import load_suite
from bench.task.examples import examples
from bench.task.prompts import PROTOCOLS, build
from bench.task.world import SIZES, generate


@pytest.fixture(scope="module", params=load_suite("embedded").models.values(), ids=lambda entry: entry.name)
def entry(request):
    return request.param


@pytest.mark.parametrize("version", SIZES)
def test_the_longest_prompts_and_answers_fit(entry, version):
    tokenizer, protocol = models.load_tokenizer(entry), PROTOCOLS["strict"]
    render = render_for(entry, tokenizer)
    lengths = [
        len(tokenizer(build(examples(scenario)[-1], protocol, render).text).input_ids)
        for scenario in generate(10, seed=1, version=version)
    ]
    room = AutoConfig.from_pretrained(entry.path).max_position_embeddings
    assert max(lengths) + protocol.max_new_tokens <= room
