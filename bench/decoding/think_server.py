"""Prompts -> thoughts of a served model, through the same client as its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from bench.decoding.server import ServerEngine
from bench.decoding.thinking import Thought, thought_of
from bench.records import Completion, Prompt

# Fields that tell a server to end at the tag and to show it. Without the tag, an ended thought looks like one
# that was cut. llama.cpp shows no stop string. It continues after the tag, and the rest is dropped.
STOPS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "vllm": lambda tag: {"stop": [tag], "include_stop_str_in_output": True, "skip_special_tokens": False},
    "sglang": lambda tag: {"stop": [tag], "no_stop_trim": True, "skip_special_tokens": False},
    "llamacpp": lambda tag: {},
}
NEUTRAL = {"vllm": "repetition_penalty", "sglang": "repetition_penalty", "llamacpp": "repeat_penalty"}


class ServerThinker(ServerEngine):
    """The same model on the same server, without constraint up to the tag or max_tokens."""

    def __init__(self, engine: ServerEngine, tag: str, max_tokens: int) -> None:
        vars(self).update(vars(engine))
        self.tag = tag
        self.max_tokens = max_tokens
        self.thoughts: dict[str, Thought] = {}

    def think(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Thought]]]:
        for batch in self.complete(prompts):
            yield [(prompt, self.thoughts.pop(prompt.example_id)) for prompt, _ in batch]

    def ask(self, prompt: Prompt) -> Future[str]:
        body = {
            "model": self.model,
            "prompt": prompt.text,
            "temperature": 0,
            "max_tokens": self.max_tokens,
            NEUTRAL[self.dialect]: 1.0,
            **STOPS[self.dialect](self.tag),
        }
        return self.server.start(self.server.post("completions", body))

    def read(self, prompt: Prompt, answer: Future[str]) -> Completion:
        """The unchanged reply. Raises InputError if its model or its numbers are impossible."""
        reply = self.server.reply(answer, self.model, prompt.text, self.max_tokens)
        text, usage = reply.choices[0].text, reply.usage
        thought = thought_of(text, self.tag, usage.completion_tokens, usage.prompt_tokens)
        self.thoughts[prompt.example_id] = thought
        found = Completion(text, reply.choices[0].finish_reason, usage.prompt_tokens)
        self.check_count(prompt, found)
        return found
