"""Who answers what follows from findings: durable-rules where it is there and sound, else the matcher alone, which is said loudly."""

from __future__ import annotations

import structlog

from app.metrics import Metrics, Sample
from domain.messages import text
from rules.ruleset import RuleSet
from streams.runtimes.inference import SupervisedInference, Trouble

REMEDY = "make inference"
QUIET: tuple[str, dict[str, str]] = ("", {})  # no message: durable-rules answers, or nothing is asked
log = structlog.get_logger(__name__)


class Inferring:
    """The application's inference, and what is to be known of it. The outcomes are the same whoever answers."""

    def __init__(self, metrics: Metrics, inference: SupervisedInference | None = None) -> None:
        """`inference` stands for the real one in tests."""
        self._metrics = metrics
        self.engine = inference or SupervisedInference(on_trouble=self._on_trouble)
        self._trouble = QUIET
        metrics.sources.append(self._samples)

    def gate(self, ruleset: RuleSet) -> None:
        """Try the inferences of a rule set in a child before it is activated, those that run and, with those on trial among them, again.

        Where that fails the place and the reason are logged.
        """
        programs = [program for program in dict.fromkeys((ruleset.program(), ruleset.program(trial=True))) if program.productions]
        self._trouble = QUIET
        if not programs:
            return
        if not self.engine.available:
            self._trouble = ("inference.not_installed", {"remedy": REMEDY})
            log.warning(
                "inference.stand_in", reason="durable-rules is not installed", remedy=REMEDY, inferences=len(programs[-1].productions)
            )
            return
        for program in programs:
            trouble = self.engine.gate(program)
            if trouble is not None:
                self._refuse(ruleset, trouble)

    def _refuse(self, ruleset: RuleSet, trouble: Trouble) -> None:
        place = next((f"{each.file}:{each.line}" for each in ruleset.inferences if each.id == trouble.production), "")
        self._trouble = ("inference.refused", {"inference": trouble.production, "place": place, "how": trouble.how})
        log.error("inference.refused", inference=trouble.production, place=place, how=trouble.how, answering="stand-in")

    def _on_trouble(self, trouble: Trouble) -> None:
        """The library is retired for a program: nothing is lost, but the second opinion is."""
        self._trouble = ("inference.retired", {"how": trouble.how})
        self._metrics.loop_errors.labels(loop="inference").inc()
        log.error("inference.retired", inference=trouble.production, how=trouble.how, answering="stand-in")

    def notice(self, language: str = "zh-CN") -> str:
        """Return what the operator should know, "" while durable-rules answers or nothing is asked."""
        key, values = self._trouble
        return text(key, language, **values) if key else ""

    def _samples(self) -> list[Sample]:
        asked = self.engine.status()
        alone = asked.stood_in > 0 and asked.engine == "stand-in"  # also where nobody has tried the program that is asked about
        return [Sample("fengsui_inference_stand_in", float(bool(self._trouble[0]) or alone))]

    def close(self) -> None:
        """End the child."""
        self.engine.close()
