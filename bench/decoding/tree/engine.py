"""Prompt -> Completion in few forward passes: exact greedy decoding with the gold answer as a free draft.

An evaluation knows the gold answer, so the gold answer serves as the draft of speculative decoding. A draft
cannot change an answer. A drafted token is kept only if the model, given its own prefix, chooses the same
token under the constraint. At the first difference the model's token is taken and the rest of the draft is
dropped. A wrong draft costs time and nothing else. In float32 the answers equal the reference engine's token
for token. In bfloat16 rounding depends on the batch size, and the reference differs from itself.

Prompts run as trees: their common beginning runs once, and the states of a scenario share its description.
Source of speculative decoding: Leviathan, Kalman & Matias (2023), arXiv:2211.17192.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal

import torch

from bench.decoding.automaton import build_tables, encode_inside
from bench.decoding.device import LOGIT_BYTES, Costs, clock, device_of, peak_bytes
from bench.decoding.tree.attention import narrowed
from bench.decoding.tree.tree import Tree, encode, pack_size, plant, rooted, run, shared
from bench.records import Completion, Counters, Prompt
from bench.task.prompts import STATEMENT, Constraint

if TYPE_CHECKING:
    from bench.decoding.reference import ReferenceEngine


@dataclass(slots=True)
class Branch:
    """One prompt and its answer so far.

    path: columns of its tokens in the tree. pending: the last token written, which the model has not read
    yet. draft: tokens to verify. state: the automaton's state after the text written so far.
    """

    prompt: Prompt
    input_ids: list[int]
    path: list[int]
    pending: list[int] = field(default_factory=list)
    draft: list[int] = field(default_factory=list)
    state: int = 0
    written: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: Literal["stop", "length"] | None = None


class Drafter:
    """Guesses from the clauses of each box: its present contents first, its initial contents last.

    A model that tracks entities states the first clause. A model that copies states the last. The drafter
    learns from finished answers which of the two this model does.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.tracked = self.copied = 0

    def learn(self, answer: str, drafts: Sequence[Sequence[str]]) -> None:
        """Count the boxes that state their first clause, and those that state their last, if they differ."""
        clauses = answer.removeprefix(STATEMENT).removesuffix(".").split(", ")
        for clause, known in zip(clauses, drafts, strict=False):
            self.tracked += clause == known[0] != known[-1]
            self.copied += clause == known[-1] != known[0]

    def ranked(self, clauses: Sequence[str]) -> list[str]:
        """One box's clauses, likeliest first."""
        ranked = list(clauses)
        if self.copied > self.tracked:
            ranked.insert(0, ranked.pop())
        return ranked

    def propose(self, written: Sequence[str], drafts: Sequence[Sequence[Sequence[str]]]) -> list[list[int]]:
        """Tokens that may follow each of the texts. Empty for a prompt without drafts."""
        texts = [
            continuation(text, [self.ranked(clauses) for clauses in boxes])
            for text, boxes in zip(written, drafts, strict=True)
        ]
        return encode_inside(self.tokenizer, texts)


def continuation(written: str, drafts: Sequence[Sequence[str]]) -> str:
    """The rest of the statement: the rest of this box's clause, then the likeliest clause of each later box.

    If no clause begins like the text of this box, continue like another clause after the same word, or end
    the clause here.
    """
    box = written.count(", ")
    if box >= len(drafts):
        return ""
    begun = written.rpartition(", ")[2] if box else written
    opening = "" if box else STATEMENT
    rest = "".join(f", {clauses[0]}" for clauses in drafts[box + 1 :]) + "."
    for clause in drafts[box]:
        text = opening + clause + rest
        if text.startswith(begun):
            return text[len(begun) :]
    return rest.removeprefix(",") if begun.endswith(",") else following(begun, drafts) + rest


def following(begun: str, drafts: Sequence[Sequence[str]]) -> str:
    """The text after the last written word, from the first clause that continues after this word."""
    word = begun.rpartition(" ")[2]
    for clause in itertools.chain(*drafts):
        _, found, end = clause.partition(f" {word} ")
        if found:
            return f" {end}"
    return ""


class SpeculativeEngine:
    """Verifies the drafts of a pack of prompts in each forward pass.

    If drafts cost more than they save, the reference engine completes the prompts that are left.
    """

    name = "speculative/1"

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        constraint: Constraint,
        *,
        pack_tokens: int | None = None,
        batch_size: int | None = None,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.constraint = constraint
        self.pack_tokens = pack_tokens or device_of(model).pack_tokens
        self.batch_size = batch_size
        vocabulary = model.config.get_text_config().vocab_size
        self.positions = LOGIT_BYTES // (vocabulary * model.dtype.itemsize)
        self.reason = "asked for"
        self.counters = Counters()
        self.tables = build_tables(constraint.regex, tokenizer, model.device)
        self.drafter = Drafter(tokenizer)
        self.costs = Costs(model)

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Completion]]]:
        """Complete prompts that begin alike together. Packs are halved each time memory runs out."""
        if not prompts:
            return
        waiting = sorted(encode(self.tokenizer, prompts), key=itemgetter(0))
        tree, root = rooted(self.model, [ids for ids, _ in waiting], self.counters)
        active: list[Branch] = []
        while active or (waiting and self.costs.balance >= 0):
            try:
                with clock(self.counters, "total_seconds"), torch.inference_mode():
                    live = len({column for branch in active for column in branch.path[len(root) :]})
                    if 2 * live < len(tree.positions) - len(root):
                        prune(tree, len(root), active)
                    if waiting and self.costs.balance >= 0 and 4 * live <= self.pack_tokens:
                        size = pack_size([ids for ids, _ in waiting], len(root), self.pack_tokens)
                        paths = plant(tree, root, [ids for ids, _ in waiting[:size]])
                        active += [
                            Branch(prompt, ids, list(path))
                            for (ids, prompt), path in zip(waiting[:size], paths, strict=True)
                        ]
                        waiting = waiting[size:]
                    self.draft(active)
                    self.verify(tree, active)
            except torch.OutOfMemoryError:
                if len(active) == 1:
                    raise
                waiting = sorted([(b.input_ids, b.prompt) for b in active] + waiting, key=itemgetter(0))
                active = []
                self.pack_tokens //= 2
                torch.cuda.empty_cache()
            self.counters.peak_bytes = peak_bytes(self.model.device)
            if done := [branch for branch in active if branch.finish_reason]:
                active = [branch for branch in active if not branch.finish_reason]
                yield [(branch.prompt, self.finish(branch)) for branch in done]
        if waiting:
            left = f"{len(waiting)} of {len(prompts)} prompts went to the reference engine"
            self.reason += f"; drafts did not pay: {left}"
            self.reference.counters = self.counters
            yield from self.reference.complete([prompt for _, prompt in waiting])

    @cached_property
    def reference(self) -> ReferenceEngine:
        """The reference engine, made when needed because outlines takes seconds to import."""
        from bench.decoding.reference import ReferenceEngine

        return ReferenceEngine(self.model, self.tokenizer, self.constraint, batch_size=self.batch_size)

    def draft(self, branches: Sequence[Branch]) -> None:
        """Guess the rest of each answer, within the automaton, the token limit and memory."""
        length = min(self.costs.draft_length(len(branches)), self.positions // len(branches))
        texts = [branch.text for branch in branches]
        guesses = self.drafter.propose(texts, [branch.prompt.drafts for branch in branches])
        for branch, guess in zip(branches, guesses, strict=True):
            room = self.constraint.max_new_tokens - len(branch.written) - 1
            guess = guess[: min(length, room)]
            branch.draft = guess[: len(self.tables.walk(branch.state, guess))]
            self.counters.drafted_tokens += len(branch.draft)

    def verify(self, tree: Tree, branches: Sequence[Branch]) -> None:
        """One forward pass: each answer grows by the accepted part of its draft and one more token.

        Logits are exact for the tokens that the state of their column allows.
        """
        first = len(tree.positions)
        columns: list[int] = []
        states: list[int] = []
        for branch in branches:
            branch.path += tree.add(branch.path, branch.pending + branch.draft)
            columns += branch.path[-len(branch.draft) - 1 :]
            states += [branch.state, *self.tables.walk(branch.state, branch.draft)]
        self.costs.spend(len(tree.input_ids))
        with narrowed(self.model, self.tables.narrow[states], self.tables.few):
            logits = run(tree, columns, self.counters)  # (N, V)
        choices = iter(self.choose(logits, states))
        for branch in branches:
            self.accept(branch, [next(choices) for _ in range(len(branch.draft) + 1)])
        prune(tree, first, branches)

    def choose(self, logits: torch.Tensor, states: Sequence[int]) -> list[int]:
        """The likeliest token that each state allows. logits: (N, V)

        If the likeliest of all tokens is allowed, it is chosen. Only the other rows need the mask.
        """
        with clock(self.counters, "mask_seconds"):
            chosen = logits.argmax(-1).tolist()
            refused = [
                row for row, state in enumerate(states) if self.tables.after(state, chosen[row]) is None
            ]
            if refused:
                among = logits[refused][:, self.tables.tokens]
                allowed = self.tables.allowed[[states[row] for row in refused]]
                best = self.tables.tokens[among.masked_fill_(~allowed, -torch.inf).argmax(-1)]
                for row, token in zip(refused, best.tolist(), strict=True):
                    chosen[row] = token
            return chosen

    def accept(self, branch: Branch, chosen: list[int]) -> None:
        """Write the model's tokens, up to the first that differs from the draft."""
        right = shared(branch.draft, chosen)
        self.costs.learn(len(branch.draft), right)
        self.counters.accepted_tokens += right
        del branch.path[len(branch.path) - len(branch.draft) + right :]
        branch.pending = [chosen[right]]
        for token in chosen[: right + 1]:
            if token == self.tables.eos:
                branch.finish_reason = "stop"
                return
            branch.written.append(token)
            branch.text += self.tables.spelling[token]
            [branch.state] = self.tables.walk(branch.state, [token])
        if len(branch.written) == self.constraint.max_new_tokens:
            branch.finish_reason = "length"
        elif self.tables.is_over(branch.state):
            branch.finish_reason = "stop"

    def finish(self, branch: Branch) -> Completion:
        """The completion of a finished branch. The drafter and the costs learn from it."""
        assert branch.finish_reason is not None, "only finished branches leave a pack"
        self.drafter.learn(branch.text, branch.prompt.drafts)
        self.costs.save(len(branch.input_ids), len(branch.written))
        return Completion(branch.text, branch.finish_reason, len(branch.input_ids), tuple(branch.written))


def prune(tree: Tree, first: int, branches: Sequence[Branch]) -> None:
    """Forget all columns from `first` on that are not on a branch's path."""
    kept = sorted({column for branch in branches for column in branch.path if column >= first})
    number = dict(zip(kept, tree.keep(first, kept), strict=True))
    for branch in branches:
        branch.path = [number.get(column, column) for column in branch.path]
