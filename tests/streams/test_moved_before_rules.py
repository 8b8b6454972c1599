"""A person moves a signal that no rule reads to an object of another partition; rules that read it come later, and count back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from domain.findings import RuleHit
from domain.partitions import partition_of
from domain.records import AnyEntry, Prepared, Record, ResolutionEntry, RulesetEntry
from domain.signals import ObjectRef
from rules.ruleset import Window
from streams.stages.passing import Passage
from tests.factories import T0, make_entry
from tests.streams.kit import at_least, indicator, kind_is, rule, ruleset
from tests.streams.test_group_partitions import SETS, SOURCES, Deployment, pipeline

FROM, TO = (next(f"o-{number}" for number in range(99) if partition_of(f"o-{number}", SOURCES) == place) for place in (0, 1))
FURTHER = next(f"o-{number}" for number in range(99) if partition_of(f"o-{number}", SOURCES) == 2)


@pytest.fixture(autouse=True)
def sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A set that reads nothing of fires, and one that does."""
    day = Window(kind="sliding", length=timedelta(days=1))
    gas = (rule("gas", at_least("p.gas", 99), points=0.0), indicator("p.gas", where=kind_is("gas."), window=day))
    fire = (rule("fire", at_least("p.fire", 2), points=30.0), indicator("p.fire", where=kind_is("fire."), window=day))
    for version, rules, indicators in (("few", [gas[0]], [gas[1]]), ("more", [gas[0], fire[0]], [gas[1], fire[1]])):
        monkeypatch.setitem(SETS, f"moved-{version}", ruleset(rules, indicators, f"moved-{version}"))


class Story:
    """A deployment that is told one record after another, an hour between, and knows what one pipeline would say."""

    def __init__(self) -> None:
        self.deployment = Deployment(Random(1), "moved")
        self._records: list[Record] = []
        self.activate("few")

    def tell(self, entry: AnyEntry, *, wait: bool = True) -> None:
        """Send the next record; `wait` until all is judged and told."""
        self.deployment.send(Record(seq=1, received_at=T0 + timedelta(hours=len(self.deployment.judged)), entry=entry))
        if wait:
            self.deployment.run(trouble=False)

    def activate(self, version: str, *, back: bool = False, wait: bool = True) -> None:
        """Put a set in force."""
        self.tell(RulesetEntry(version=version, prepared=Prepared(first=1) if back else None), wait=wait)

    def signal(self, name: str, about: str, **kw: Any) -> None:
        """Send a signal about a fire."""
        at = T0 + timedelta(hours=len(self.deployment.judged))
        self.tell(
            make_entry(id=name, object=ObjectRef(id=about), occurred_at=at, kind="fire.smoke", source="iot", region="", severity=0, **kw)
        )

    def say(self, name: str, about: str, *, wait: bool = True) -> None:
        """A person says what a signal is about."""
        self.tell(ResolutionEntry(feed="test", signal_id=name, object_id=about, by="a"), wait=wait)

    def hits(self) -> list[tuple[str, str, str]]:
        """Return what was found, (rule, object, signal), and fail where one pipeline that sees everything does not find the same."""
        records = [record for *_, record in sorted(self.deployment.judged, key=lambda each: each[:3])]
        whole = pipeline("whole", _Past(records))
        expected = [out for record in records for out in whole.step([record], growing=False)]
        found = [out for outcomes in self.deployment.sources.outcomes for out in outcomes]
        assert found == expected
        return [(out.rule, out.subject, out.signal) for out in found if isinstance(out, RuleHit)]


class _Past:
    """All records before an activation, as `domain.ports.History`."""

    def __init__(self, records: list[Record]) -> None:
        self._records = records

    def records(self, after: int, before: int) -> list[Record]:
        del after
        return self._records[: next(place for place, record in enumerate(self._records) if record.seq == before)]

    def artifact(self, name: str) -> None:
        del name


def begun() -> Story:
    """Return a story in which a person moved a signal that nothing knew any more: it is not its object's newest either."""
    story = Story()
    story.signal("s-1", FROM)
    story.signal("s-2", FROM)
    story.say("s-1", TO)
    return story


def test_what_was_moved_counts_for_its_object() -> None:
    """The next signal of the object is the second one."""
    story = begun()
    story.activate("more", back=True)
    story.signal("s-3", TO)
    assert story.hits() == [("fire", TO, "s-3")]


def test_what_was_moved_on_counts_for_the_last_object_alone() -> None:
    """Two people moved it, or one changed their mind."""
    story = begun()
    story.say("s-1", FURTHER)
    story.activate("more", back=True)
    story.signal("s-3", TO)
    story.signal("s-4", FURTHER)
    assert story.hits() == [("fire", FURTHER, "s-4")]


def test_what_was_withdrawn_after_it_was_moved_counts_nowhere() -> None:
    """Its sender took it back before the rules came."""
    story = begun()
    story.signal("s-0", FROM, withdraws="s-1")
    story.activate("more", back=True)
    story.signal("s-3", TO)
    assert story.hits() == []


def test_what_was_moved_is_undone_where_it_counts() -> None:
    """Its sender takes it back after the rules came: the partition that it came to knows where it counts from then on."""
    story = begun()
    story.activate("more", back=True)
    story.signal("s-0", FROM, withdraws="s-1")
    story.signal("s-3", TO)
    assert story.hits() == []


def test_many_that_were_moved_are_all_told() -> None:
    """Each has a number of its own, so that none passes for told before."""
    story = Story()
    names = [f"s-{number}" for number in range(5)]
    for name in names:
        story.signal(name, FROM)
    story.signal("s-5", FROM)
    for name in names:
        story.say(name, TO)
    story.activate("more", back=True)
    assert {number: worker.pipeline.counters()["signals_kept"] for number, worker in enumerate(story.deployment.sources.workers)} == {
        0: 6,
        1: 5,
        2: 0,
    }


def _nobody_told(_passage: Passage, _seq: int, _untold: list[Any]) -> None:
    """Plant: it is a secret."""


def _under_one_number(passage: Passage, seq: int, untold: list[Any]) -> None:
    """Plant: all that one record tells has one number."""
    for live in untold:
        passage.move(seq, live.seq + 1, live, ())


@pytest.mark.sources
@pytest.mark.parametrize("plant", [_nobody_told, _under_one_number])
def test_planted_defects_are_found(plant: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other partition is not told, or all is told under one number, something is missing there."""
    monkeypatch.setattr(Passage, "tell_late", plant)
    with pytest.raises(AssertionError):
        test_many_that_were_moved_are_all_told()
