"""Prompt -> free text up to a closing tag -> Completion: the constrained statement of a model that thinks.

Thinking that does not end within its token limit is kept, but never read as an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bench.decoding import Engine, engine_name
from bench.records import BREAK, Completion, Prompt


@dataclass(frozen=True, slots=True)
class Thought:
    """A model's text before its answer, up to the closing tag. prompt_tokens: tokens of its prompt."""

    text: str
    tokens: int
    finished: bool
    prompt_tokens: int

    @property
    def notes(self) -> str:
        return f"{self.tokens} tokens of thinking:\n{self.text}"


Think = Callable[[Sequence[Prompt]], Iterator[list[tuple[Prompt, Thought]]]]


def thought_of(text: str, tag: str, tokens: int, prompt_tokens: int) -> Thought:
    """The text up to its first closing tag. Without a tag, the thinking did not end."""
    before, found, _ = text.partition(tag)
    return Thought(before + found, tokens, bool(found), prompt_tokens)


def thinking_tokens(completion: Completion) -> int:
    """The number of tokens that a model spent thinking, with or without an answer."""
    return int(completion.notes.partition(" ")[0])


class ThinkingEngine:
    """Lets another engine complete each prompt after the model's thinking."""

    def __init__(self, engine: Engine, think: Think, max_tokens: int) -> None:
        self.engine = engine
        self.think = think
        self.name = engine_name(engine.name, max_tokens)
        self.reason = engine.reason
        self.counters = engine.counters

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Completion]]]:
        """Complete in the batches of the thinking. Thinking that did not end gets no answer."""
        for batch in self.think(prompts):
            thoughts = {prompt.example_id: (prompt, thought) for prompt, thought in batch}
            unfinished = [
                (prompt, Completion(BREAK + thought.notes, "unfinished", thought.prompt_tokens))
                for prompt, thought in batch
                if not thought.finished
            ]
            if unfinished:
                yield unfinished
            longer = [
                replace(prompt, text=prompt.text + thought.text + BREAK)
                for prompt, thought in batch
                if thought.finished
            ]
            for done in self.engine.complete(longer) if longer else ():
                yield [finish(*thoughts[asked.example_id], answer) for asked, answer in done]


def finish(prompt: Prompt, thought: Thought, answer: Completion) -> tuple[Prompt, Completion]:
    """The answer to the prompt with thinking, as the answer to the prompt itself."""
    text = answer.text + BREAK + thought.notes
    return prompt, replace(answer, text=text, prompt_tokens=thought.prompt_tokens)
