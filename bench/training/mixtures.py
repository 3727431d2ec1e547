"""The data of a training stage: corpora and their shares of the documents."""

from __future__ import annotations

from random import Random

from bench.training import arithmetic, corpora, dialogues, programs
from bench.training.corpora import Corpus, Document

MIXTURES: dict[str, tuple[tuple[float, Corpus], ...]] = {
    "short": ((0.7, corpora.short_restatements), (0.2, corpora.questions), (0.1, corpora.stories)),
    "distracted": (
        (0.35, corpora.short_restatements),
        (0.45, corpora.distracted_restatements),
        (0.1, corpora.questions),
        (0.1, corpora.stories),
    ),
    "prompts": (
        (0.8, corpora.prompts),
        (0.1, corpora.distracted_restatements),
        (0.05, corpora.questions),
        (0.05, corpora.stories),
    ),
    "small tracked": ((0.5, corpora.small_tracked_worlds), (0.5, corpora.small_reported_worlds)),
    "tracked": ((0.5, corpora.tracked_worlds), (0.5, corpora.reported_worlds)),
    "tracked prompts": ((0.7, corpora.tracked_prompts), (0.3, corpora.reported_worlds)),
    "small programs": (
        (0.35, programs.small_box_programs),
        (0.35, programs.small_asked_programs),
        (0.1, programs.counter_programs),
        (0.2, corpora.short_restatements),
    ),
    "programs": (
        (0.3, programs.box_programs),
        (0.45, programs.asked_programs),
        (0.1, programs.counter_programs),
        (0.15, corpora.short_restatements),
    ),
    "programs and prompts": (
        (0.55, programs.asked_program_prompts),
        (0.15, programs.box_programs),
        (0.1, programs.counter_programs),
        (0.2, corpora.plain_prompts),
    ),
    "small arithmetic": (
        (0.4, arithmetic.sums),
        (0.35, arithmetic.word_problems),
        (0.25, corpora.short_restatements),
    ),
    "arithmetic": (
        (0.4, arithmetic.sums),
        (0.35, arithmetic.word_problems),
        (0.25, corpora.distracted_restatements),
    ),
    "arithmetic and prompts": (
        (0.35, arithmetic.sums),
        (0.3, arithmetic.word_problems),
        (0.35, corpora.prompts),
    ),
    "small dialogues": (
        (0.65, dialogues.box_dialogues),
        (0.1, dialogues.people_dialogues),
        (0.25, dialogues.short_turns),
    ),
    "dialogues": (
        (0.65, dialogues.box_dialogues),
        (0.1, dialogues.people_dialogues),
        (0.25, dialogues.distracted_turns),
    ),
    "dialogues and prompts": (
        (0.55, dialogues.box_dialogues),
        (0.1, dialogues.people_dialogues),
        (0.35, dialogues.prompts_in_turns),
    ),
}

# A mixture's name is part of the seed of its documents. Another name gives new documents of the same kinds.
MIXTURES |= {f"more {name}": MIXTURES[name] for name in ("short", "distracted", "prompts")}

# Programs that are less like the task in one respect. The base's text among them stays as it is.
MIXTURES |= {
    f"{word} {name}": tuple(
        (share, change(source) if source.__module__ == programs.__name__ else source)
        for share, source in MIXTURES[name]
    )
    for word, change in (("renamed", programs.renamed), ("unframed", programs.unframed))
    for name in ("small programs", "programs", "programs and prompts")
}


def draw(mixture: str, rng: Random, progress: float) -> Document:
    """One document, its corpus drawn by share."""
    shares, sources = zip(*MIXTURES[mixture], strict=True)
    return rng.choices(sources, shares)[0](rng, progress)
