"""Every family's architecture, from a checkpoint folder to scores, by both engines."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from bench import ROOT, models
from bench.records import Evaluation, Example, ModelEntry
from bench.run.evaluate import evaluate
from bench.run.leases import take
from bench.run.options import Options
from bench.run.plans import Plan
from bench.store import Store
from fixtures.checkpoints import TEMPLATES, make_checkpoint, make_tokenizer

pytest_plugins = ["pytester"]

TOKENIZERS = {  # as each family's
    "llama-2": ("sentencepiece", "system role and BOS"),
    "llama-2-70b": ("sentencepiece", "system role and BOS"),
    "codellama": ("sentencepiece", "system role and BOS"),
    "deepseek": ("byte-level", "system role and BOS"),
    "mistral": ("sentencepiece", "no system role"),
    "gemma": ("gemma", "no system role"),
    # beyond the paper; those whose real tokenizer can be had are also in test_real.py
    "llama-3": ("byte-level", "system role and BOS"),
    "mistral, no window": ("sentencepiece", "no system role"),
    "mistral, short window": ("sentencepiece", "no system role"),
    "gemma-2": ("gemma", "no system role"),
    "gemma-3": ("gemma", "no system role"),
    "qwen-2": ("byte-level", "system role"),
    "qwen-3": ("byte-level", "system role"),
    "phi": ("byte-level", "system role"),
    "phi-3": ("sentencepiece", "system role"),
    "smollm-2": ("byte-level", "system role"),
    "smollm-3": ("byte-level", "system role"),
    "olmo-2": ("byte-level", "system role"),
    "olmo-3": ("byte-level", "system role"),
    "deepseek-v3": ("byte-level", "system role and BOS"),
}
# The paper's families, and one whose tokenizer class adds a padding token beyond the model's embeddings.
ALWAYS = (*tuple(TOKENIZERS)[:6], "qwen-2")


def run(entry: ModelEntry, engine: str, examples: tuple[Example, ...], protocol: str) -> Evaluation:
    plan = Plan(examples, Options(protocol=protocol, engine=engine))
    return evaluate(entry, plan, Store(":memory:"), wait=0)


CASES = [
    pytest.param(
        family,
        chat,
        protocol,
        id=f"{family}-{'chat' if chat else 'base'}-{protocol}",
        marks=[] if family in ALWAYS and not chat and protocol == "paper" else pytest.mark.nightly,
    )
    for family in TOKENIZERS
    for chat in (False, True)
    for protocol in ("paper", "strict")  # these checkpoints have no tag for think
]


@pytest.mark.parametrize(("family", "chat", "protocol"), CASES)
def test_both_engines_write_the_same_answers(
    family: str, chat: bool, protocol: str, tmp_path: Path, evaluation_examples: tuple[Example, ...]
) -> None:
    style, template = TOKENIZERS[family]
    tokenizer = make_tokenizer(style, template=TEMPLATES[template])
    entry = ModelEntry(family, str(make_checkpoint(tmp_path, family, tokenizer)), chat=chat)
    examples = evaluation_examples[:3]
    reference = run(entry, "reference", examples, protocol)
    speculative = run(entry, "speculative", examples, protocol)
    assert reference.engine != speculative.engine
    assert speculative.completions == reference.completions
    assert speculative.scores == reference.scores
    assert len(reference.scores) == 7 * len(examples)


def test_code_llama_keeps_its_rope_base(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, "codellama")
    config = models.load(ModelEntry("codellama", str(folder)), ["cpu"]).model.config
    assert config.rope_parameters["rope_theta"] == 1e6


def test_a_model_on_the_cpu_stands_in_no_queue_for_gpus(
    random_checkpoints: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("bench.run.leases.gpu_folder", lambda: tmp_path)
    entry = ModelEntry("one", str(random_checkpoints / "one"))
    with ExitStack() as held:
        assert take(held, tmp_path / "queue.lock")
        asked = replace(plan, options=replace(plan.options, wait=0.0))
        found = evaluate(entry, asked, Store(":memory:"), wait=0)
    assert len(found.completions) == len(plan.examples)


def test_a_dry_run_shows_how_every_architecture_would_be_asked(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As base model and as chat model. None is refused."""
    monkeypatch.setattr("bench.run.progress.SIZE", 64)  # the estimate is not under test
    suite = ['name = "all"']
    for number, (family, (style, template)) in enumerate(TOKENIZERS.items()):
        make_checkpoint(pytester.path / family, family, make_tokenizer(style, template=TEMPLATES[template]))
        for kind, chat in (("base", "false"), ("chat", "true")):
            suite.append(f'[[models]]\nname = "{number}-{kind}"\npath = "{family}"\nchat = {chat}')
    (pytester.path / "suite.toml").write_text("\n".join(suite))
    result = pytester.runpytest_inprocess(
        f"--rootdir={ROOT}", f"--config-file={ROOT / 'pytest.ini'}", "-p", "no:cacheprovider",
        str(ROOT / "tests" / "hypotheses"), "--boxes-suite=suite.toml", "--boxes-dry-run", "--boxes-limit=4",
    )  # fmt: skip
    said = result.stdout.str()
    assert result.ret == 0
    assert said.count("verdict: can be asked") == 2 * len(TOKENIZERS)
    assert said.count("; 0 are cut") == 2 * len(TOKENIZERS)
