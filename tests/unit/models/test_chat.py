"""Prompts for chat models: no turn is lost, and the tokens begin with one BOS."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bench.decoding.audit import audit
from bench.models import render_for
from bench.records import Example, ModelEntry, Prompt
from bench.task.prompts import PROTOCOLS, as_text, build, constraint, gold_statement, turns
from fixtures.checkpoints import BOS, EOS, STYLES, TEMPLATES, Style, make_checkpoint, make_tokenizer

CHAT = ModelEntry("chatty", "nowhere", chat=True)
BASE = ModelEntry("base", "nowhere")
PAPER = PROTOCOLS["paper"]


@pytest.fixture
def example(evaluation_examples: tuple[Example, ...]) -> Example:
    return evaluation_examples[0]


def roles_said(text: str) -> list[str]:
    return re.findall(r"<(system|user|assistant)>", text)


def test_base_model_is_given_the_protocol_s_text(example: Example) -> None:
    render = render_for(BASE, make_tokenizer())
    assert render(turns(example, PAPER)) == as_text(turns(example, PAPER))


def test_system_role_is_used_where_the_template_has_one(example: Example) -> None:
    text = render_for(CHAT, make_tokenizer(template=TEMPLATES["system role"]))(turns(example, PAPER))
    assert roles_said(text) == ["system", *["user", "assistant"] * 3]


@pytest.mark.parametrize("template", ["no system role", "drops the system turn"])
def test_instruction_is_a_user_s_turn_where_there_is_no_system_role(template: str, example: Example) -> None:
    text = render_for(CHAT, make_tokenizer(template=TEMPLATES[template]))(turns(example, PAPER))
    assert roles_said(text) == ["user", "assistant"] * 4
    assert text.startswith(f"<user>{PAPER.instruction}\n<assistant>Okay.\n<user>Description: ")


@pytest.mark.parametrize("template", ["system role", "no system role"])
def test_prompt_ends_where_the_assistant_begins(template: str, example: Example) -> None:
    text = render_for(CHAT, make_tokenizer(template=TEMPLATES[template]))(turns(example, PAPER))
    assert text.endswith(f"Description: {example.description}\n<assistant>")


@pytest.mark.parametrize(
    ("template", "said"),
    [
        pytest.param(None, "has no chat template", id="no template"),
        pytest.param(TEMPLATES["drops the user's turns"], "leaves out turns", id="turns dropped"),
    ],
)
def test_template_that_cannot_be_used_is_an_error(template: str | None, said: str) -> None:
    with pytest.raises(ValueError, match=f"model chatty: .*{said}"):
        render_for(CHAT, make_tokenizer(template=template))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("adds_bos", [False, True], ids=["tokenizer adds none", "tokenizer adds BOS"])
@pytest.mark.parametrize(
    ("template", "inside"),
    [("system role", 0), ("system role and BOS", 0), ("BOS before every user's turn", 3), (None, 0)],
)
def test_prompt_begins_with_one_bos(
    style: Style, adds_bos: bool, template: str | None, inside: int, example: Example
) -> None:
    tokenizer = make_tokenizer(style, adds_bos, template=TEMPLATES.get(template or ""))
    text = render_for(CHAT if template else BASE, tokenizer)(turns(example, PAPER))
    first, *rest = tokenizer(text).input_ids
    assert first == tokenizer.bos_token_id
    assert rest[0] != tokenizer.bos_token_id
    assert rest.count(tokenizer.bos_token_id) == inside


@pytest.mark.parametrize("bos", [None, EOS], ids=["no BOS", "BOS is EOS"])
def test_tokenizer_without_a_bos_of_its_own_is_left_to_itself(bos: str | None, example: Example) -> None:
    tokenizer = make_tokenizer(adds_bos=False, bos=bos)
    assert render_for(BASE, tokenizer)(turns(example, PAPER)) == as_text(turns(example, PAPER))


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    return ModelEntry("small", str(make_checkpoint(tmp_path_factory.mktemp("small"))))


@pytest.mark.parametrize("style", STYLES)
def test_audit_tells_how_the_model_is_asked(style: Style, entry: ModelEntry, evaluation_examples) -> None:
    tokenizer = make_tokenizer(style)
    examples = evaluation_examples[:40]
    prompts = [build(example, PAPER, render_for(entry, tokenizer)) for example in examples]
    golds = [gold_statement(example) for example in examples]
    found = audit(entry, tokenizer, prompts, golds, constraint(PAPER))
    assert found.problem is None
    assert found.first_tokens[0] == (tokenizer.bos_token_id, BOS)
    # in the middle of a text, SentencePiece writes "Statement" without a space before it
    extra = [token for token in tokenizer.tokenize(golds[0])[:1] if token == "▁"]
    assert found.longest == max(len(tokenizer.tokenize(gold)) for gold in golds) - len(extra)
    # SentencePiece writes "▁Statement", with a space that the constraint does not allow
    assert found.canonical is (style != "sentencepiece")
    assert "an answer may begin with" in str(found)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"prompt": BOS + "Description:"}, "2 BOS tokens but needs 1", id="two BOS"),
        pytest.param({"prompt": "word " * 5000}, "its context has 4096", id="prompt too long"),
        pytest.param(
            {"gold": "Statement: Box 0"}, "the constraint forbids a right answer", id="gold refused"
        ),
        pytest.param({"max_new_tokens": 5}, "1 of 1 right answers are longer than 5", id="answers cut"),
    ],
)
def test_audit_fails_a_model_that_cannot_be_asked(
    changes, said: str, entry: ModelEntry, example: Example
) -> None:
    limit = changes.get("max_new_tokens", 100)
    asked = constraint(PAPER).__class__(constraint(PAPER).regex, limit)
    prompt = Prompt("a", "b", changes.get("prompt", "Description:"))
    found = audit(entry, make_tokenizer(), [prompt], [changes.get("gold", gold_statement(example))], asked)
    assert said in str(found.problem)


@pytest.mark.parametrize(
    ("name", "template", "chat", "warned"),
    [
        pytest.param("small-Instruct", "system role", False, True, id="Instruct, asked as plain text"),
        pytest.param("gemma-2b-it", "system role", False, True, id="-it is Gemma's word"),
        pytest.param("small-instruct", "system role", True, False, id="asked as chat"),
        pytest.param("small-instruct", None, False, False, id="without a template"),
        pytest.param("small-base", "system role", False, False, id="a base model that has a template"),
        pytest.param("italian-chatter", "system role", False, False, id="letters of other words"),
    ],
)
def test_audit_warns_of_a_chat_model_that_is_asked_as_plain_text(
    name: str, template: str | None, chat: bool, warned: bool, entry: ModelEntry, example: Example
) -> None:
    tokenizer = make_tokenizer(template=TEMPLATES.get(template or ""))
    asked = replace(entry, name=name, chat=chat)
    prompts = [build(example, PAPER, render_for(asked, tokenizer))]
    found = audit(asked, tokenizer, prompts, [gold_statement(example)], constraint(PAPER))
    assert found.problem is None
    assert ("chat = true" in (found.warning or "")) is warned
    assert ("warning: it has a chat template" in str(found)) is warned
