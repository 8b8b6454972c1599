"""Models in the stream: scores as indicators, and the nightly comparison of objects."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import NotFound
from domain.findings import WarningRaised, WarningUpdated
from domain.signals import ObjectRef
from models.registry import REGISTRY, VECTOR_REGISTRY
from rules.ruleset import Window
from streams.pipeline import PipelineSettings
from tests.factories import T0, at
from tests.streams.kit import VALUE, Story, at_least, indicator, kind_is, rule, ruleset

PRESSURE = indicator("p.pressure", "mean", of=VALUE, window=Window(kind="sliding", length=timedelta(minutes=10)))
ODD = indicator("p.odd", "anomaly", window=None, detector="fast", input="p.pressure")


def odd_story() -> Story:
    """Return a story in which a detector watches a pressure."""
    return Story(T0, ruleset([rule("odd", at_least("p.odd", 0.995))], [PRESSURE, ODD]), detectors=REGISTRY)


def feed(told: Story, first: int, last: int) -> None:
    """Send a steady pressure every ten minutes."""
    for n in range(first, last):
        told.signal(n / 6, f"s{n}", source="iot", kind="gas.pressure", value=2.0 + 0.1 * math.sin(n))


def test_a_detectors_score_is_an_indicator_that_rules_read() -> None:
    """A jump far beyond the series' own history hits; the evidence is that of the watched indicator."""
    told = odd_story()
    feed(told, 0, 400)
    assert told.outcomes == []
    outcomes = told.signal(400 / 6, "jump", source="iot", kind="gas.pressure", value=9.0)
    assert [type(out) for out in outcomes][1:] == [WarningRaised]
    assert outcomes[0].values["p.odd"] >= 0.995
    assert [each.id for each in outcomes[1].warning.evidence] == ["jump"]


def test_a_detector_goes_on_after_a_restart_as_if_there_had_been_none() -> None:
    """Its memory is part of the snapshot."""
    whole, first = odd_story(), odd_story()
    feed(whole, 0, 300)
    feed(first, 0, 150)
    second = first.pipeline.fresh()
    second.restore(first.pipeline.snapshot())
    first.pipeline = second
    feed(first, 150, 300)
    assert whole.pipeline.snapshot() == second.snapshot()


def test_a_detector_that_is_not_installed_is_named() -> None:
    """The activation fails with the legal names."""
    with pytest.raises(NotFound, match=r"p\.odd: unknown detector 'fast'; legal: none is registered"):
        Story(T0, ruleset([], [PRESSURE, ODD]))


def city(points: float = 15.0, **kw: Any) -> Story:
    """Return a story of 200 much alike objects and one that is not, with a rule that only the odd one meets."""
    columns: list[Any] = [indicator("p.n", where=kind_is("gas.")), indicator("p.sum", "sum", of=VALUE)]
    rules = [rule("busy", at_least("p.n", 30), points=points), rule("sum", at_least("p.sum", 1e9), points=1.0)]
    told = Story(T0, ruleset(rules, columns), object_detector=VECTOR_REGISTRY["forest"], **kw)
    for n in range(200):
        for signal in range(1 + n % 4):
            told.signal(0, f"s{n}-{signal}", object=ObjectRef(id=f"o-{n:03}"), value=float(1 + n % 5))
    for signal in range(40):
        told.signal(0, f"odd-{signal}", object=ObjectRef(id="o-odd"), value=500.0)
    return told


def test_the_nightly_comparison_adds_to_the_score_of_an_object_unlike_its_peers() -> None:
    """At 03:00 in Shanghai; the warning that rules opened is rescored and says why."""
    told = city(points=40.0)
    raised = [out.warning for out in told.outcomes if isinstance(out, WarningRaised)]
    assert [each.subject for each in raised] == ["o-odd"]
    assert told.pipeline.next_wake() == at(19)
    updated = [out for out in told.tick(20) if isinstance(out, WarningUpdated)]
    assert [(out.warning.subject, out.reason) for out in updated] == [("o-odd", "rescored")]
    part = next(part for part in updated[0].warning.contributions if part.source == "model")
    assert 0.0 < part.points <= 15.0
    assert part.message
    assert updated[0].warning.models == ("objects",)


def test_the_model_alone_opens_no_warning() -> None:
    """Fifteen points are below the lowest level: an anomaly adds weight to what rules found."""
    told = city(points=1.0)
    assert told.tick(20) == []


def test_a_model_that_may_add_no_points_is_not_run() -> None:
    """Nothing is due at night, and the warning is what the rules alone say."""
    told = city(points=40.0, settings=PipelineSettings(model_points=0.0))
    raised = next(out.warning for out in told.outcomes if isinstance(out, WarningRaised))
    assert told.pipeline.next_wake() is not None
    assert told.pipeline.next_wake() != at(19)
    assert told.tick(20) == []
    assert (raised.score, raised.models) == (40.0, ())


def test_a_night_without_signals_is_not_scored() -> None:
    """The next comparison is due only once something came."""
    told = city(points=1.0)
    told.tick(20)
    assert told.pipeline.next_wake() is None
    told.signal(50, "later", object=ObjectRef(id="o-001"))
    assert told.pipeline.next_wake() == at(19 + 48)


def test_only_stirred_objects_are_read_again_at_night_and_nothing_else_changes() -> None:
    """Night after night, with corrections, withdrawals and another rule set on the way, a pipeline that was just restored says the same."""
    columns: list[Any] = [
        indicator("p.n", where=kind_is("gas."), window=Window(kind="sliding", length=timedelta(days=3)), as_of="object"),
        indicator("p.sum", "sum", of=VALUE),
    ]
    rules = [rule("busy", at_least("p.n", 2), points=40.0), rule("sum", at_least("p.sum", 40.0), points=10.0)]
    told, restored = (Story(T0, ruleset(rules, columns), object_detector=VECTOR_REGISTRY["forest"]) for _ in range(2))
    for night in range(8):
        for turn in range(120):
            number = (turn * 7 + night * 31) % 260
            more: dict[str, Any] = {"object": ObjectRef(id=f"o-{number:03}"), "value": float(number % 11 * (1 + night))}
            if night and turn % 10 == 0:
                more["corrects" if turn % 20 else "withdraws"] = f"s-{night - 1}-{turn}"
            for story in (told, restored):
                story.signal(24 * night + turn / 10, f"s-{night}-{turn}", **more)
        if night == 4:
            for story in (told, restored):
                story.activate(24 * night + 12.5, ruleset([*rules, rule("more", at_least("p.n", 9), points=5.0)], columns))
        again = restored.pipeline.fresh()
        again.restore(restored.pipeline.snapshot())
        restored.pipeline = again
        assert told.tick(24 * night + 20) == restored.tick(24 * night + 20)
        assert told.pipeline.snapshot() == restored.pipeline.snapshot()
    scored = [out for out in told.outcomes if isinstance(out, WarningUpdated) and out.reason == "rescored" and out.warning.models]
    assert scored, "the model found nobody: the story shows nothing"
