"""Prompt, clauses of each box -> log-probability of each clause, given the true statement so far.

All clauses of a pack of prompts are in one tree, so one forward pass scores them. The true statement is the
trunk. A clause branches off at its first different token. Each clause ends with its comma or full stop, so no
clause is a prefix of another.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

import torch

from bench.decoding.automaton import encode_inside
from bench.decoding.device import LOGIT_BYTES, check_finite, clock, device_of, peak_bytes
from bench.decoding.tree.tree import Tree, common_prefix, encode, pack_size, plant, rooted, run, unsupported
from bench.records import BREAK, Completion, Counters, Prompt
from bench.task.examples import examples
from bench.task.prompts import PROTOCOLS, SHOTS, STATEMENT, build_choices

Pieces = list[list[list[int]]]  # per box and clause: the tokens, with the true clause first
Steps = list[list[list[tuple[int, int]]]]  # per box and clause: columns, and the token after each


class ChoiceEngine:
    """Chooses a clause for each box. The resulting statement is the answer, and its notes are the scores."""

    name = "logprob/1"

    def __init__(self, model: Any, tokenizer: Any, *, pack_tokens: int | None = None) -> None:
        self.model = model
        self.tokenizer = tokenizer
        vocabulary = model.config.get_text_config().vocab_size
        most = max(1, LOGIT_BYTES // (4 * vocabulary))  # float32; every token may be scored
        self.pack_tokens = min(pack_tokens or device_of(model).choice_tokens, most)
        self.counters = Counters()
        obstacle = unsupported(model) or self.difference()
        self.alone = obstacle is not None  # one pass per clause
        self.reason = f"one clause a pass: {obstacle}" if obstacle else "a probe equalled one clause a pass"

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Completion]]]:
        """Score prompts that begin alike together. Packs get smaller each time memory runs out."""
        waiting = sorted(encode(self.tokenizer, prompts), key=itemgetter(0))
        while waiting and self.alone:
            ids, prompt = waiting.pop()
            yield [(prompt, completion(prompt, len(ids), self.score_alone(ids, self.pieces(prompt))))]
        while waiting:
            tree, root = rooted(self.model, [ids for ids, _ in waiting], self.counters)
            while waiting:
                size = pack_size([ids for ids, _ in waiting], len(root), self.pack_tokens)
                try:
                    with clock(self.counters, "total_seconds"), torch.inference_mode():
                        done = self.score_pack(tree, root, waiting[:size])
                except torch.OutOfMemoryError:
                    if size == 1:
                        raise
                    self.pack_tokens //= 2
                    torch.cuda.empty_cache()
                    break
                waiting = waiting[size:]
                self.counters.peak_bytes = peak_bytes(self.model.device)
                yield done

    def score_pack(
        self, tree: Tree, root: list[int], pack: Sequence[tuple[list[int], Prompt]]
    ) -> list[tuple[Prompt, Completion]]:
        """One forward pass over the prompts and all their clauses."""
        tree.keep(len(root), [])
        paths = plant(tree, root, [ids for ids, _ in pack])
        steps = [grow(tree, path, self.pieces(prompt)) for path, (_, prompt) in zip(paths, pack, strict=True)]
        scores = iter(self.sums([clause for boxes in steps for box in boxes for clause in box], tree))
        return [
            (prompt, completion(prompt, len(ids), [[next(scores) for _ in box] for box in boxes]))
            for (ids, prompt), boxes in zip(pack, steps, strict=True)
        ]

    def pieces(self, prompt: Prompt) -> Pieces:
        """The tokens of every clause, with its leading text and its end."""
        last = len(prompt.drafts) - 1
        texts = [
            f"{' ' if box else STATEMENT}{clause}{'.' if box == last else ','}"
            for box, clauses in enumerate(prompt.drafts)
            for clause in clauses
        ]
        encoded = iter(encode_inside(self.tokenizer, texts))
        return [[next(encoded) for _ in clauses] for clauses in prompt.drafts]

    @torch.inference_mode()
    def score_alone(self, ids: list[int], pieces: Pieces) -> list[list[float]]:
        """The scores from a plain forward pass per clause."""
        found, before = [], list(ids)
        for clauses in pieces:
            same = common_prefix(clauses)
            found.append([self.score_one(before + tokens[:same], tokens[same:]) for tokens in clauses])
            before += clauses[0]
        return found

    def score_one(self, before: list[int], tokens: list[int]) -> float:
        """The log-probability of tokens after other tokens, in a plain forward pass."""
        ids = torch.tensor([before + tokens], device=self.model.device)
        logits = precise(self.model(input_ids=ids, use_cache=False).logits[0, len(before) - 1 : -1])  # (T, V)
        check_finite(logits)
        return float(logits.log_softmax(-1).gather(1, ids[0, len(before) :, None]).sum())

    def difference(self) -> str | None:
        """Compare the scores of one prompt with and without a tree. The difference as text; None if equal.

        In less than float32, rounding changes a score a little. A wrong mask changes it much more.
        """
        prompt = build_choices(examples(SHOTS)[-1], PROTOCOLS["strict"])
        few = tuple(clauses[: 3 if box == 2 else 1] for box, clauses in enumerate(prompt.drafts))
        prompt = replace(prompt, drafts=few)
        ids = self.tokenizer(prompt.text).input_ids
        try:
            with torch.inference_mode():
                [(_, done)] = self.score_pack(*rooted(self.model, [ids], self.counters), [(ids, prompt)])
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            return f"a probe failed ({str(error).splitlines()[0]})"
        finally:
            self.counters = Counters()
        alone = self.score_alone(ids, self.pieces(prompt))
        pairs = zip(itertools.chain(*alone), itertools.chain(*json.loads(done.notes)), strict=True)
        furthest = max(abs(one - other) for one, other in pairs)
        allowed = 1e-3 if self.model.dtype == torch.float32 else 1.0
        return None if furthest < allowed else f"a probe's scores differ by {furthest:.2g}"

    def sums(self, clauses: Sequence[Sequence[tuple[int, int]]], tree: Tree) -> list[float]:
        """The log-probability of each clause's tokens, from one pass."""
        columns = sorted({column for clause in clauses for column, _ in clause})
        rows = {column: row for row, column in enumerate(columns)}
        logits = precise(run(tree, columns, self.counters))
        where = [(rows[column], token) for clause in clauses for column, token in clause]
        row, token = torch.tensor(where, device=logits.device).T
        logprobs = iter((logits[row, token] - logits.logsumexp(-1)[row]).tolist())
        return [sum(next(logprobs) for _ in clause) for clause in clauses]


def precise(logits: torch.Tensor) -> torch.Tensor:
    """In float32, or in float64 if the model is."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def grow(tree: Tree, path: list[int], pieces: Pieces) -> Steps:
    """Add every clause after the true statement so far. Tokens that clauses share are added once."""
    known: dict[tuple[int, int], int] = {}

    def extend(branch: list[int], ids: list[int]) -> list[int]:
        branch = list(branch)
        for place, token in enumerate(ids):
            if (column := known.get((branch[-1], token))) is None:
                added = tree.add(branch, ids[place:])
                known.update(zip(zip([branch[-1], *added], ids[place:], strict=False), added, strict=False))
                return branch + added
            branch.append(column)
        return branch

    found: Steps = []
    for number, clauses in enumerate(pieces):
        start, same = len(path), common_prefix(clauses)
        found.append([])
        for tokens in clauses:
            seen = extend(path, tokens[:-1])  # no token follows the last one of a clause
            columns = seen[start - 1 :]
            found[-1].append(list(zip(columns, tokens, strict=True))[same:])
        if number < len(pieces) - 1:
            path = extend(path, clauses[0])
    return found


def completion(prompt: Prompt, prompt_tokens: int, logprobs: Sequence[Sequence[float]]) -> Completion:
    """The statement of the likeliest clauses. In a tie, the first clause wins."""
    best = [max(range(len(found)), key=found.__getitem__) for found in logprobs]
    chosen = [clauses[index] for clauses, index in zip(prompt.drafts, best, strict=True)]
    statement = STATEMENT + ", ".join(chosen) + "."
    notes = json.dumps([[round(value, 6) for value in found] for found in logprobs])
    return Completion(statement + BREAK + notes, "stop", prompt_tokens)
