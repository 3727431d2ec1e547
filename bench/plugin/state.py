"""Options -> the state of one process of a run: its suite, its cases, and finally its results."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bench import models
from bench.inputs import place
from bench.plugin.cases import markers_of
from bench.records import HYPOTHESES, Accuracy, Pair, Results, Verdict
from bench.report.files import check_place, write
from bench.run.evaluate import Listener
from bench.run.options import Options, words
from bench.run.plans import (
    Plan,
    choose_models,
    load_suites,
    merge,
    metadata_of,
    models_of,
    override,
    plan_of,
    published_of,
    singles_of,
)
from bench.run.session import Session
from bench.scoring.verdicts import families, judge_recorded
from bench.store import Store, check_store

if TYPE_CHECKING:
    from bench.plugin.nights import Nights


class State:
    """The state of a run in one process. A worker of xdist runs cases. The main process also reports.

    Raises ValueError for impossible options.
    """

    def __init__(self, options: Options, run_id: str, worker: bool = False, command: str = "") -> None:
        self.options, self.run_id, self.worker, self.command = options, run_id, worker, command
        self.suites = load_suites(options)
        self.published = published_of(self.suites)
        self.suite = choose_models(override(merge(self.suites), options.model_args), options.models)
        self.buckets = words(options.buckets)
        self.cases = {
            f"{pair.id}-{bucket}": (pair, bucket) for pair in self.suite.pairs for bucket in self.buckets
        }
        self.hypotheses = list(dict.fromkeys([*HYPOTHESES, *(pair.hypothesis for pair in self.suite.pairs)]))
        self.whole = {suite.name for suite in self.suites if not options.models}
        self.offered = False  # whether a collected test has cases in the suite
        self.singles = singles_of(self.suite, options.models)
        self.ran: set[Pair] = set()
        self.ran_singles: set[str] = set()
        self.num_cases = 0
        self.runnable: list[str] = []
        self.skipped: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.results: Results | None = None
        self.folder: Path | None = None
        self.handed_on: list[str] = []

    @cached_property
    def session(self) -> Session:
        shared = self.asked() if self.worker and not self.options.in_memory else ()
        store = Store(self.options.store_path)
        session = Session(self.suite, self.plan, store, shared, cases=max(1, self.num_cases))
        if self.worker:
            session.listener = Listener(before="\n")  # its messages mix with other output
        return session

    @cached_property
    def plan(self) -> Plan:
        """The plan, made at first use because generating the data takes a second."""
        return plan_of(self.options, self.run_id)

    @cached_property
    def nights(self) -> Nights | None:
        """Saving and comparing; None if this run does neither."""
        options = self.options
        if options.save is None and options.compare is None and not options.compare_fail:
            return None
        from bench.plugin.nights import Nights

        return Nights(options, self.metadata)

    @cached_property
    def recorded(self) -> dict[tuple[Pair, str], Verdict]:
        """The verdicts on the recorded figures of the suites."""
        verdicts = [entry for suite in self.suites for entry in judge_recorded(suite, self.plan.baseline)]
        return {(entry.comparison.pair, entry.comparison.bucket): entry for entry in verdicts}

    def recorded_accuracy(self, name: str, bucket: str) -> tuple[Accuracy, float] | None:
        """A model's recorded accuracy, and the accuracy of random guessing."""
        for suite in self.suites:
            baseline = suite.recorded_baseline or self.plan.baseline
            if bucket in suite.recorded.get(name, {}) and bucket in baseline:
                return suite.recorded[name][bucket], baseline[bucket]
        return None

    def is_published(self, pair: Pair, bucket: str) -> bool:
        """Whether there are published figures of both models, with their own random baseline."""
        return any(
            bucket in suite.recorded_baseline and pair in suite.pairs
            and all(bucket in suite.recorded.get(name, {}) for name in (pair.base, pair.variant))
            for suite in self.suites
        )  # fmt: skip

    def family(self, pair: Pair) -> list[Pair]:
        """The pairs of this run whose main tests are adjusted together with this pair's."""
        return next(family for family in families(self.ran_pairs()) if pair in family)

    def asked(self) -> list[str]:
        """The models of this run: the models of its pairs, and the models in no pair."""
        return [*models_of(self.ran_pairs()), *(name for name in self.singles if name in self.ran_singles)]

    def ran_pairs(self) -> list[Pair]:
        return [pair for pair in self.suite.pairs if pair in self.ran]

    def check(self) -> None:
        """Raises ValueError for mistakes that would otherwise appear only at the end of the run."""
        if self.options.dataset != "evaluation" or self.options.limit is not None:
            _ = self.plan
        _ = self.nights

    def note(self, node_ids: Iterable[str]) -> None:
        """Remember the pairs, and the models in no pair, whose cases are to run."""
        found = [match[1] for node_id in node_ids if (match := re.search(r"\[(.*)\]$", node_id))]
        self.ran |= {self.cases[case_id][0] for case_id in found if case_id in self.cases}
        of_models = {f"{name}-{bucket}": name for name in self.suite.models for bucket in self.buckets}
        asked = {of_models[case_id] for case_id in found if case_id in of_models}
        self.ran_singles |= asked & {*self.singles}
        self.num_cases = sum(case_id in self.cases or case_id in of_models for case_id in found)

    def check_places(self) -> None:
        """Raises ValueError if the store, the models or the folder of reports cannot be used."""
        if asked := self.asked():
            check_place(place(self.options.report_dir))
            if not self.options.in_memory:
                check_store(self.options.store)
            entries, gpus = self.suite.models, self.options.gpus_per_worker
            away = self.options.engine == "server"  # its models are not on this machine
            self.runnable = [name for name in asked if away or not models.unavailable(entries[name], gpus)]

    def metadata(self) -> dict[str, object]:
        return metadata_of(self.suite, self.plan) | {"command": self.command}

    def markers(self) -> dict[str, int]:
        """Every marker of the suite's pairs, with its number of pairs."""
        marks = [mark for pair in self.suite.pairs for mark in markers_of(pair, self.hypotheses)]
        return dict(sorted(Counter(marks).items()))

    def finish(self, exit_status: int) -> int:
        """Judge, compare with the baseline if requested, and write every format of the report.

        Returns the exit status of the run.
        """
        self.session.skipped |= self.skipped  # from workers, so that the report has the same families
        found = self.session.results(families(self.ran_pairs()), self.metadata(), self.ran_singles)
        skipped = {**found.skipped, **self.failed}
        self.results = replace(found, skipped=skipped, published=self.published)
        if self.nights:
            exit_status = self.nights.finish(exit_status, self.results, self.asked())
        if self.results.evaluations:
            self.folder = self.write(self.results)
            if self.options.log_samples or self.options.track:
                from bench.exports.trackers import hand_on

                self.handed_on = hand_on(self.options, self.results, self.plan, self.folder)
        return exit_status

    def write(self, results: Results) -> Path:
        """Write the report. Returns its folder."""
        hidden = self.plan.is_released and not self.options.released_examples
        ran = {pair.hypothesis for pair in self.ran}
        return write(
            results,
            Path(self.options.report_dir) / self.run_id,
            self.suite,
            examples=() if hidden else self.plan.examples,
            recorded=[entry for (pair, _), entry in self.recorded.items() if pair.hypothesis in ran],
            regression=self.nights.regression if self.nights else None,
        )
