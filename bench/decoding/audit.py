"""Tokenizer, prompts, right answers -> Audit: can the model be asked? This needs no weights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.models.chat import count_bos, has_own_bos, roles_for
from bench.models.loading import load_config
from bench.records import ModelEntry, Prompt
from bench.task.prompts import Constraint
from bench.text import printable

CHAT_NAME = re.compile(r"(?i)(^|[-_.])(instruct|chat|it)($|[-_.])")
SHOWN = 8  # tokens of the first prompt, characters of an answer


@dataclass(frozen=True, slots=True)
class Audit:
    """The model's first prompt in tokens, and whether the model can write the right answers.

    starts: the tokens that an answer may begin with. canonical: whether the tokenizer's own first token is
    one of them. longest: the longest right answer in tokens. cut: number of right answers above
    max_new_tokens. problem: why the model cannot be asked; None if it can. warning: why its answers are
    doubtful.
    """

    roles: str
    first_tokens: tuple[tuple[int, str], ...]
    bos: int
    prompt_tokens: int
    starts: tuple[str, ...]
    canonical: bool
    longest: int
    cut: int
    max_new_tokens: int
    problem: str | None
    warning: str | None

    def __str__(self) -> str:
        """The audit as text, one line per fact."""
        said = {
            "roles": self.roles,
            "first tokens": " ".join(f"{index}={token!r}" for index, token in self.first_tokens),
            "BOS": self.bos,
            "longest prompt": f"{self.prompt_tokens} tokens",
            "longest right answer": f"{self.longest} tokens of {self.max_new_tokens}; {self.cut} are cut",
            "an answer may begin with": ", ".join(map(repr, self.starts)),
            "its canonical first token": "allowed" if self.canonical else "not allowed by the constraint",
            "verdict": self.problem or "can be asked",
        }
        if self.warning:
            said["warning"] = self.warning
        return "\n".join(printable(f"  {what}: {fact}") for what, fact in said.items())


def audit(
    entry: ModelEntry,
    tokenizer: Any,
    prompts: Sequence[Prompt],
    golds: Sequence[str],
    constraint: Constraint,
    config: Mapping[str, Any] | None = None,
) -> Audit:
    """Check the prompts and the right answers in this tokenizer's tokens.

    config: the config of a model in memory. For other models, it is read from their folder.
    """
    from bench.decoding.automaton import encode, encode_inside, spell

    ids = tokenizer(prompts[0].text).input_ids
    prompt_tokens = len(tokenizer(max((prompt.text for prompt in prompts), key=len)).input_ids)
    answers = encode_inside(tokenizer, golds)
    spelling = spell(tokenizer)
    starts = {text for text in spelling if text and golds[0].startswith(text)}
    cut = sum(len(answer) > constraint.max_new_tokens for answer in answers)
    bos = count_bos(prompts[0].text, tokenizer)

    def problems() -> Iterator[str]:
        """The reasons why the model cannot be asked, and what to do."""
        if tokenizer.eos_token_id is None:
            yield "its tokenizer has no EOS token, so no answer can end. Set one in tokenizer_config.json."
        expected = (1,) if has_own_bos(tokenizer) else (0, 1)
        if bos not in expected:
            yield f"its first prompt has {bos} BOS tokens but needs {expected[0]}. Fix its tokenizer."
        needed = prompt_tokens + constraint.max_new_tokens
        room = (config or load_config(entry)).get("max_position_embeddings", needed)
        if needed > room:
            yield f"prompt and answer may need {needed} tokens, but its context has {room}. Leave it out."
        for gold in golds:
            if not constraint.matches(gold):
                yield f"the constraint forbids a right answer ({gold!r}). Choose another protocol."
        for gold, answer in zip(golds, answers, strict=True):
            if wrong := misspelled(gold, answer, spelling):
                yield f"its tokenizer cannot write a right answer ({gold!r}): {wrong}. Leave it out."
        if 2 * cut > len(golds):
            yield (
                f"{cut} of {len(golds)} right answers are longer than {constraint.max_new_tokens} of its "
                "tokens. Choose a protocol that allows more."
            )

    return Audit(
        roles=roles_for(entry, tokenizer),
        first_tokens=tuple(zip(ids[:SHOWN], tokenizer.convert_ids_to_tokens(ids[:SHOWN]), strict=True)),
        bos=bos,
        prompt_tokens=prompt_tokens,
        starts=tuple(sorted(starts, key=len)),
        canonical=spelling[encode(tokenizer, golds[0])[0]] in starts,
        longest=max(map(len, answers)),
        cut=cut,
        max_new_tokens=constraint.max_new_tokens,
        problem=next(problems(), None),
        warning=plain_chat(entry, tokenizer),
    )


def plain_chat(entry: ModelEntry, tokenizer: Any) -> str | None:
    """A model that was taught turns, by its name and its template, but is given one text."""
    named = any(CHAT_NAME.search(name) for name in (entry.name, Path(entry.path).name))
    if named and tokenizer.chat_template and not entry.chat:
        return "it has a chat template and is asked as plain text; chat = true in the suite uses the template"
    return None


def misspelled(gold: str, ids: Sequence[int], spelling: Sequence[str]) -> str | None:
    """Where the text of the tokenizer's own tokens differs from a right answer; None if it is the same."""
    place = 0
    for token in ids:
        text = spelling[token]
        if not text or not gold.startswith(text, place):
            return f"token {token} is {text!r} where the answer has {gold[place : place + SHOWN]!r}"
        place += len(text)
    return f"it leaves out {gold[place:]!r}" if place < len(gold) else None
