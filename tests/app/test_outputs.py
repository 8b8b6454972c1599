"""What a cluster writes for others to read: CloudEvents with ids that stay, and nothing that is not for everybody."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from app.cluster.outputs import Outputs
from app.pipelines import make_pipeline
from app.settings import Settings
from domain.findings import EpisodeEnded, Evidence, Outcome, RuleBlind, RuleHit, WarningRaised, WarningUpdated
from domain.partitions import partition_of
from domain.ports import Grant, Letter
from domain.records import Record, RulesetEntry, TickEntry
from rules.load import load_rules
from tests.cluster.world import RULES, leak
from tests.factories import T0, at, make_warning

GRANT = Grant(topic="p.frames", partition=2, epoch=1, offset_done=6)
EVIDENCE = Evidence(feed="f", id="s-1", seq=3, source="hotline", kind="gas.leak", occurred_at=T0, text="张三家漏气")
WARNING = make_warning(evidence=(EVIDENCE,), evidence_count=1)
HIT = RuleHit(
    rule="leaks", subject="o-1", object_id="o-1", matter="gas", feed="f", signal="s-1", seq=3, at=T0, values={"n": 3}, message="3次"
)
BLIND = RuleBlind(rule="no-answer", subject="o-1", object_id="o-1", matter="gas", feed="f", signal="s-1", at=T0, sources=("iot",))


def letters(*outcomes: Outcome) -> list[Letter]:
    """Return the letters for what followed from one message."""
    return list(Outputs("/fengsui/p/live", 6)(GRANT, 7, outcomes))


def events(*outcomes: Outcome) -> list[dict[str, Any]]:
    """Return the events in them."""
    return [json.loads(letter.body) for letter in letters(*outcomes)]


def test_a_warning_is_told_under_its_id_whole_but_for_the_texts_of_signals() -> None:
    """Raised, updated with its reason, ended: three events of one key, numbered by the place of what they follow from."""
    told = (
        WarningRaised(warning=WARNING),
        WarningUpdated(warning=WARNING, reason="joined"),
        EpisodeEnded(warning_id="w1", at=T0, reason="quiet"),
    )
    found = events(*told)
    assert [event["id"] for event in found] == ["p.frames/2/7/0", "p.frames/2/7/1", "p.frames/2/7/2"]
    assert [event["type"] for event in found] == ["fengsui.warning.raised", "fengsui.warning.updated", "fengsui.warning.ended"]
    assert found[0]["time"] == "2026-03-01T08:00:00+08:00"
    assert [event["data"].get("reason") for event in found[:2]] == ["", "joined"]
    assert found[1]["data"]["evidence"][0] | {"occurred_at": ""} == {
        "feed": "f", "id": "s-1", "seq": 3, "source": "hotline", "kind": "gas.leak", "occurred_at": "", "text": "",
    }  # fmt: skip
    assert "张三" not in str(found)
    assert found[2]["data"]["ended"] == "quiet"
    assert {(letter.to, letter.key, letter.partition) for letter in letters(*told)} == {("warnings", b"w1", partition_of("w1", 6))}


def test_hits_and_what_could_not_be_decided_are_events_of_their_subject() -> None:
    """Each as it was found, under the subject."""
    hit, blind = events(HIT, BLIND)
    assert (hit["type"], hit["subject"], hit["data"]["values"]) == ("fengsui.rule.hit", "o-1", {"n": 3})
    assert (blind["type"], blind["data"]["sources"]) == ("fengsui.rule.blind", ["iot"])
    assert {letter.to for letter in letters(HIT, BLIND)} == {"events"}


def test_what_is_on_trial_or_kept_back_is_not_told() -> None:
    """Nothing of rules on trial, neither a beginning nor an end, and no hit that a filter kept back; the places of the others stay."""
    shadow = replace(WARNING, shadow=True)
    found = events(
        WarningRaised(warning=shadow),
        WarningUpdated(warning=shadow, reason="joined"),
        EpisodeEnded(warning_id=shadow.id, at=T0, reason="quiet", shadow=True),
        replace(HIT, shadow=True),
        replace(HIT, suppressed="f-1"),
        replace(BLIND, shadow=True),
        HIT,
    )
    assert [event["id"] for event in found] == ["p.frames/2/7/6"]


def test_the_end_of_a_warning_on_trial_is_not_told_either() -> None:
    """The engine marks it as what it is: three leaks warn on trial, weeks later that is over, and nobody is told of either."""
    ruleset = load_rules({"gas.yaml": RULES.replace("status: active", "status: shadow")})
    pipeline = make_pipeline(Settings(), lambda _version: ruleset, None)
    entries = [RulesetEntry(version=ruleset.version), *(leak(number, objects=1) for number in range(3)), TickEntry()]
    times = [T0, *(at(number) for number in range(1, 4)), T0 + timedelta(days=60)]
    records = [Record(seq=seq, received_at=time, entry=entry) for seq, (time, entry) in enumerate(zip(times, entries, strict=True), 1)]
    found = pipeline.step(records)
    ends = [one for one in found if isinstance(one, EpisodeEnded)]
    assert [one.shadow for one in ends] == [True]
    assert letters(*found) == []
