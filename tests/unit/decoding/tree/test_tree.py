"""Each path in a tree of tokens has the same logits as the path alone."""

from __future__ import annotations

import pytest
import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from bench.decoding.tree.attention import CPU_KERNEL, attention_of
from bench.decoding.tree.tree import Tree

ROOT = list(range(10, 40))
PARENTS = {"a": "", "b": "", "a more": "a", "b more": "b", "a other": "a"}
TOKENS = {"a": [1, 2, 3], "b": [4], "a more": [5, 6], "b more": [7, 8, 9], "a other": [5]}
PASSES = [["a", "b", "a more"], ["b more", "a other"]]

ARCHITECTURES = [
    pytest.param("llama", {}, id="grouped queries"),
    pytest.param("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4}, id="learned positions"),
    pytest.param("mistral", {"sliding_window": 8}, id="window"),
    pytest.param(
        "deepseek_v3",
        {"num_key_value_heads": 4, "head_dim": None, "q_lora_rank": 16, "kv_lora_rank": 16, "v_head_dim": 12,
         "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "n_routed_experts": 4, "num_experts_per_tok": 2,
         "n_group": 1, "topk_group": 1, "moe_intermediate_size": 16, "first_k_dense_replace": 1},
        id="values narrower than keys",
    ),
]  # fmt: skip


@pytest.mark.parametrize("kernel", [True, False], ids=["", "without torch's private kernel"])
@pytest.mark.parametrize("copy_rows", [0, 24, 10**6], ids=["blocks apart", "as is", "blocks joined"])
@pytest.mark.parametrize(("architecture", "changes"), ARCHITECTURES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.2)], ids=str)
def test_every_path_has_the_logits_that_it_has_alone(
    architecture, changes, dtype, tolerance, copy_rows, kernel, random_model, monkeypatch
):
    if not kernel:
        monkeypatch.setattr("bench.decoding.tree.tree.CPU_KERNEL", None)
    monkeypatch.setattr("bench.decoding.tree.attention.COPY_ROWS", copy_rows)
    model = random_model(architecture, **changes).to(dtype)
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
                torch.testing.assert_close(logits, alone, rtol=tolerance, atol=tolerance)


def test_a_pass_leaves_the_model_and_the_registry_of_transformers_as_they_were(random_model):
    model = random_model("llama")
    before = dict(ALL_ATTENTION_FUNCTIONS)
    tree = Tree(model)
    root = tree.add([], ROOT)
    with torch.inference_mode():
        tree.run([0])
        columns = [tree.add(root, [token] * 40)[-1] for token in range(3)]  # three blocks
        tree.run(columns)
    assert attention_of(model) == "sdpa"
    assert dict(ALL_ATTENTION_FUNCTIONS) == before


def test_the_private_kernel_is_there():
    """Without the CPU kernel trees are exact but slower. This test then fails."""
    assert CPU_KERNEL is not None


def test_a_pass_makes_its_masks_and_columns_on_the_models_device(random_model):
    """On the meta device, an operation between a CPU tensor and the model's raises."""
    model = random_model("llama").to("meta")
    tree = Tree(model)
    root = tree.add([], ROOT)
    tree.run([0])
    columns = [tree.add(root, [token] * 40)[-1] for token in range(3)]
    logits = tree.run(columns)
    assert (logits.shape, logits.device.type) == ((3, model.config.vocab_size), "meta")
    kept = tree.keep(len(root), columns)
    assert kept == [len(root), len(root) + 1, len(root) + 2]


def test_a_segment_without_tokens_changes_nothing(random_model):
    tree = Tree(random_model("llama"))
    root = tree.add([], ROOT)
    with torch.inference_mode():
        tree.run([0])
        columns = [tree.add(root, [token] * 40)[-1] for token in range(3)]
        assert tree.add(root, []) == []
        assert tree.run(columns).shape[0] == 3
