"""Prompt -> free text up to a closing tag -> Completion: the constrained statement of a model that thinks.

Thinking that does not end within its tokens is no answer. It is kept, and never read as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bench.decoding import Engine, engine_name
from bench.decoding.notes import BREAK, with_notes
from bench.records import Completion, Prompt


@dataclass(frozen=True, slots=True)
class Thought:
    """What a model wrote before its answer, up to the closing tag. prompt_tokens: what it was asked in."""

    text: str
    tokens: int
    finished: bool
    prompt_tokens: int


Think = Callable[[Sequence[Prompt]], Iterator[list[tuple[Prompt, Thought]]]]


def thought_of(text: str, tag: str, tokens: int, prompt_tokens: int) -> Thought:
    """The text up to its first closing tag; without one, thinking that did not end."""
    before, found, _ = text.partition(tag)
    return Thought(before + found, tokens, bool(found), prompt_tokens)


class ThinkingEngine:
    """Lets another engine complete each prompt behind the thinking that it led to."""

    def __init__(self, engine: Engine, think: Think, max_tokens: int) -> None:
        self.engine = engine
        self.think = think
        self.name = engine_name(engine.name, max_tokens)
        self.reason = engine.reason
        self.counters = engine.counters

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Completion]]]:
        """Batches as the thinking comes; what did not end is not continued."""
        for batch in self.think(prompts):
            thoughts = {prompt.example_id: (prompt, thought) for prompt, thought in batch}
            if lost := [(prompt, unfinished(thought)) for prompt, thought in batch if not thought.finished]:
                yield lost
            longer = [
                replace(prompt, text=prompt.text + thought.text + BREAK)
                for prompt, thought in batch
                if thought.finished
            ]
            for done in self.engine.complete(longer) if longer else ():
                yield [finish(*thoughts[asked.example_id], answer) for asked, answer in done]


def unfinished(thought: Thought) -> Completion:
    return Completion(with_notes("", write_thought(thought)), "unfinished", thought.prompt_tokens)


def finish(prompt: Prompt, thought: Thought, answer: Completion) -> tuple[Prompt, Completion]:
    """The answer of the longer prompt as the prompt's own."""
    text = with_notes(answer.text, write_thought(thought))
    return prompt, replace(answer, text=text, prompt_tokens=thought.prompt_tokens)


def write_thought(thought: Thought) -> str:
    return f"{thought.tokens} tokens of thinking:\n{thought.text}"
