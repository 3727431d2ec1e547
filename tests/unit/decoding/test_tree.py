"""A tree of tokens gives each of its paths the logits that the path has alone."""

from __future__ import annotations

import pytest
import torch

from bench.decoding.tree import Tree

ROOT = list(range(10, 40))
PARENTS = {"a": "", "b": "", "a more": "a", "b more": "b", "a other": "a"}
TOKENS = {"a": [1, 2, 3], "b": [4], "a more": [5, 6], "b more": [7, 8, 9], "a other": [5]}
PASSES = [["a", "b", "a more"], ["b more", "a other"]]


@pytest.mark.parametrize("copy_rows", [0, 24, 10**6], ids=["blocks apart", "as is", "blocks joined"])
@pytest.mark.parametrize(
    ("architecture", "changes"),
    [("llama", {}), ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4}), ("mistral", {"sliding_window": 8})],
)
def test_every_path_has_the_logits_that_it_has_alone(
    architecture, changes, copy_rows, random_model, monkeypatch
):
    monkeypatch.setattr("bench.decoding.attention.COPY_ROWS", copy_rows)
    model = random_model(architecture, **changes)
    tree = Tree(model)
    columns, sequences = {"": tree.add([], ROOT)}, {"": ROOT}
    with torch.inference_mode():
        tree.run([0])
        for names in PASSES:
            for name in names:
                columns[name] = columns[PARENTS[name]] + tree.add(columns[PARENTS[name]], TOKENS[name])
                sequences[name] = sequences[PARENTS[name]] + TOKENS[name]
            found = tree.run([columns[name][-1] for name in names])
            for name, logits in zip(names, found, strict=True):
                alone = model(torch.tensor([sequences[name]])).logits[0, -1]
                torch.testing.assert_close(logits, alone, rtol=1e-4, atol=1e-5)
