"""Turns -> text in the model's own chat format. Also the tag that ends its thinking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench.inputs import MEGABYTE, InputError, bounded
from bench.records import ModelEntry, Turn
from bench.task.prompts import as_text

PROBE = (
    Turn("system", "an instruction"),
    Turn("user", "one question"),
    Turn("assistant", "one answer"),
    Turn("user", "another question"),
)
TAGS = (
    "</think>",
    "</thinking>",
    "</thought>",
    "</reasoning>",
    "</seed:think>",
    "[/THINK]",
    "<|END_THINKING|>",
)


def render_for(entry: ModelEntry, tokenizer: Any | None) -> Callable[[Sequence[Turn]], str]:
    """The function that renders turns: one text for a base model, the tokenizer's template for a chat model.

    tokenizer: None if only a server has it. The server then adds the BOS.
    Raises ValueError for a chat model whose template is missing or leaves out turns.
    """
    if not entry.chat:
        return as_text if tokenizer is None else lambda turns: with_one_bos(as_text(turns), tokenizer)
    arrange = arrangement(entry, tokenizer)
    return lambda turns: with_one_bos(render(tokenizer, arrange(turns)), tokenizer)


def roles_for(entry: ModelEntry, tokenizer: Any) -> str:
    """The roles of a prompt's turns, as text."""
    if not entry.chat:
        return "none: one text"
    return ", ".join(turn.role for turn in arrangement(entry, tokenizer)(PROBE))


def arrangement(entry: ModelEntry, tokenizer: Any) -> Callable[[Sequence[Turn]], Sequence[Turn]]:
    """Unchanged turns if the template has a system role, else the instruction as a user's turn."""
    if tokenizer is None or not tokenizer.chat_template:
        raise InputError(
            f"model {entry.name}: chat = true, but its tokenizer has no chat template. "
            "Add chat_template.jinja to its folder, or set chat = false."
        )
    for arrange in (list, instruct_as_user):
        if says_all(tokenizer, arrange(PROBE)):
            return arrange
    raise InputError(f"model {entry.name}: its chat template leaves out turns. Fix it, or set chat = false.")


def says_all(tokenizer: Any, turns: Sequence[Turn]) -> bool:
    """Whether the template accepts these roles and writes every turn in order."""
    try:
        text = render(tokenizer, turns)
    except TemplateFault:
        return False
    places = [text.find(turn.content) for turn in turns]
    return -1 not in places and places == sorted(places)


def render(tokenizer: Any, turns: Sequence[Turn]) -> str:
    """The text of the turns. Raises InputError if the template fails or exceeds a limit."""
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    try:
        with bounded("its chat template"):
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except InputError:
        raise
    except Exception as error:  # a template can raise anything
        raise TemplateFault(f"its chat template fails: {type(error).__name__}: {error}. Fix it.") from None
    if len(text) > MEGABYTE:
        raise InputError(f"its chat template makes a prompt of {len(text):,} characters. Fix it.")
    return text


class TemplateFault(InputError):
    """A template that does not accept the given turns."""


def instruct_as_user(turns: Sequence[Turn]) -> list[Turn]:
    """Turns without a system role: the user gives the instruction, and the assistant agrees."""
    instruction, *rest = turns
    return [Turn("user", instruction.content), Turn("assistant", "Okay."), *rest]


def with_one_bos(text: str, tokenizer: Any) -> str:
    """Change the text so that its tokens begin with exactly one BOS, whatever template and tokenizer add.

    The text is unchanged if the tokenizer has no own BOS (no BOS, or the same token as EOS).
    """
    if not has_own_bos(tokenizer):
        return text
    bos = tokenizer.bos_token
    while text.startswith(bos):
        text = text.removeprefix(bos)
    return text if count_bos(text, tokenizer) else bos + text


def has_own_bos(tokenizer: Any) -> bool:
    return tokenizer.bos_token is not None and tokenizer.bos_token != tokenizer.eos_token


def count_bos(text: str, tokenizer: Any) -> int:
    """The number of BOS tokens at the start. A template may put more inside (Llama 2: one per user turn)."""
    ids = tokenizer(text).input_ids
    return next((place for place, index in enumerate(ids) if index != tokenizer.bos_token_id), len(ids))


def closing_tag(entry: ModelEntry, tokenizer: Any | None) -> str:
    """The tag in the suite, or the one that the chat template writes. Raises ValueError if there is none."""
    template = getattr(tokenizer, "chat_template", None) or ""
    tag = entry.think_end or next((known for known in TAGS if known in str(template)), None)
    if tag is None:
        raise InputError(
            f"model {entry.name}: the tag that ends its thinking is unknown. "
            'Write it into the suite, as think_end = "</think>", or use another protocol.'
        )
    return tag
