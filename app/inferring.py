"""Who says what follows from findings: the matcher; and whether durable-rules checks it, which is told loudly where it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from app.metrics import Metrics, Sample
from domain.inference import Program
from domain.messages import text
from rules.ruleset import InferenceRule, RuleSet
from streams.runtimes.durable import Child, Trouble
from streams.runtimes.inference import Compared, SupervisedInference

REMEDY = "make inference"
log = structlog.get_logger(__name__)


class Inferring:
    """The inference of `serve` and of a worker, and what is to be known of it; for any thread, none of which waits for a child."""

    def __init__(self, metrics: Metrics, *, start: Callable[[], Child] = Child, available: bool | None = None) -> None:
        """`start` and `available` are those of `SupervisedInference`."""
        self._metrics = metrics
        self.engine = SupervisedInference(on_trouble=self._on_trouble, on_compared=self._on_compared, start=start, available=available)
        self._in_force: tuple[tuple[Program, ...], Mapping[str, InferenceRule]] = (), {}  # replaced as a whole
        metrics.sources.append(self._samples)

    def gate(self, *rulesets: RuleSet) -> None:
        """Have the inferences of what is in force from now on tried: those that run and, with those on trial among them, again.

        Log, metric and notice say what comes of it; several rule sets are the parts of one that run side by side.
        """
        every = (ruleset.program(trial=trial) for ruleset in rulesets for trial in (False, True))
        programs = tuple(program for program in dict.fromkeys(every) if program.productions)
        if programs == self._in_force[0]:
            return
        self._in_force = programs, {each.id: each for ruleset in rulesets for each in ruleset.inferences}
        if programs and not self.engine.available:
            log.warning("inference.stand_in", reason="durable-rules is not installed", remedy=REMEDY, inferences=len(self._in_force[1]))
        for program in programs:
            self.engine.gate(program)

    def notice(self, language: str = "zh-CN") -> str:
        """Return what the operator should know, "" while durable-rules checks the answers or nothing is asked."""
        programs, _ = self._in_force
        if programs and not self.engine.available:
            return text("inference.not_installed", language, remedy=REMEDY)
        found = next((trouble for program in programs if (trouble := self.engine.trouble(program)) is not None), None)
        if found is None:
            return ""
        if not found.production:
            return text("inference.retired", language, how=found.how)
        return text("inference.refused", language, inference=found.production, place=self._place(found), how=found.how)

    def _place(self, trouble: Trouble) -> str:
        rule = self._in_force[1].get(trouble.production)
        return "" if rule is None else f"{rule.file}:{rule.line}"

    def _on_trouble(self, trouble: Trouble) -> None:
        """The library is retired for a program: nothing is lost, but the second opinion is."""
        self._metrics.loop_errors.labels(loop="inference").inc()
        event = "inference.refused" if trouble.production else "inference.retired"
        log.error(event, inference=trouble.production, place=self._place(trouble), how=trouble.how, answering="stand-in")

    def _on_compared(self, compared: Compared) -> None:
        self._metrics.inferred.labels(outcome=compared).inc()

    def _samples(self) -> list[Sample]:
        return [Sample("fengsui_inference_stand_in", float(bool(self.notice())))]

    def close(self) -> None:
        """End thread and child."""
        self.engine.close()
