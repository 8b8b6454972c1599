"""What was not taken, or not understood, counts once it is mended: exactly once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.settings import SHIPPED_MAPPINGS
from tests.app.offices import problem
from tests.app.world import World, penalty, signal
from tests.connectors.senders import uscc


def rejections(world: World, feed: str, status: str = "open") -> list[dict[str, Any]]:
    """Return a feed's rejections, newest first."""
    found: list[dict[str, Any]] = world.read(f"/v1/feeds/{feed}/rejections?status={status}")
    return found


def replay(world: World, feed: str) -> dict[str, Any]:
    """Replay a feed's rejections and let everything that follows happen."""
    answer: dict[str, Any] = world.call("POST", f"/v1/feeds/{feed}/rejections/replay").json()
    world.app.settle()
    return answer


def test_a_rejection_is_listed_with_its_reason_and_what_was_sent(world: World) -> None:
    """By API: feed, reason, row, column, the sentence, and the raw record under its header."""
    world.post(penalty(1, "六万"), penalty(2, "0.1"))
    [one] = rejections(world, "penalties")
    assert (one["reason"], one["field"], one["position"], one["status"]) == ("bad_type", "CF_NR_FK", 2, "open")
    assert "六万" in one["raw"]
    assert one["raw"].startswith("CF_XDR_MC,")
    assert rejections(world, "licences") == []


def test_a_record_rejected_for_the_mapping_counts_once_after_the_mapping_is_mended(tmp_path: Path) -> None:
    """The column got another name at the sender: rejected, kept, mapping mended, replayed, a warning; a second replay changes nothing."""
    mended = tmp_path / "mappings"
    mended.mkdir()
    shipped = (SHIPPED_MAPPINGS / "penalties.yaml").read_text(encoding="utf-8")
    with World(tmp_path / "world", mappings=mended) as world:
        renamed = [{"CF_XDR_XM" if name == "CF_XDR_MC" else name: value for name, value in penalty(n, "3").items()} for n in (1, 2)]
        sent = {"content": json.dumps(renamed).encode(), "headers": {"content-type": "application/json"}}
        assert world.call("POST", "/v1/feeds/penalties/records", "feed", **sent).json()["reasons"] == {"bad_header": 2}
        assert world.warnings() == []
        (mended / "penalties.yaml").write_text(shipped.replace("from: [CF_XDR_MC,", "from: [CF_XDR_XM, CF_XDR_MC,"), encoding="utf-8")
        world.restart()
        first = replay(world, "penalties")
        assert (first["records"], first["accepted"], first["rejected"]) == (2, 2, 0)
        [warning] = world.warnings()
        assert world.story(warning["id"])["warning"]["evidence_count"] == 2
        assert rejections(world, "penalties") == []
        assert {one["status"] for one in rejections(world, "penalties", "replayed")} == {"replayed"}
        assert replay(world, "penalties")["records"] == 0
        assert world.post(*renamed)["duplicates"] == 2, "the sender's own repeat counts no second time"
        assert len(world.warnings()) == 1


def test_of_two_rejected_versions_the_later_one_holds_after_a_replay(tmp_path: Path) -> None:
    """Rejections are replayed in the order in which they came, so that a revision stays the newer one."""
    mended = tmp_path / "mappings"
    mended.mkdir()
    shipped = (SHIPPED_MAPPINGS / "penalties.yaml").read_text(encoding="utf-8")
    with World(tmp_path / "world", mappings=mended) as world:
        for fine in ("9", "0.1"):  # first heavy, then mitigated
            world.post({**penalty(1, fine), "CF_XDR_MC": "", "CF_XDR_XM": "长安燃气有限公司"})
        (mended / "penalties.yaml").write_text(shipped.replace("from: [CF_XDR_MC,", "from: [CF_XDR_XM, CF_XDR_MC,"), encoding="utf-8")
        world.restart()
        answer = replay(world, "penalties")
        assert (answer["accepted"], answer["revisions"]) == (1, 1)
        [held] = [one for one in world.read("/v1/objects/o-gas")["signals"] if one["status"] == "active"]
        assert held["value"] == 1000.0


@pytest.mark.parametrize(("feed", "who"), [("signals", "signals"), ("penalties", "feed")])
def test_a_canonical_signal_from_the_future_counts_once_its_time_has_come(world: World, feed: str, who: str) -> None:
    """Quarantined signals are replayable too, under whichever feed's credential they came; too early it stays where it is."""
    ahead = [signal(f"f-{n}", occurred_at=f"2026-03-02T1{n}:00:00+08:00") for n in range(3)]
    assert world.signals(*ahead, who=who).json()["reasons"] == {"future": 3}
    assert replay(world, feed)["rejected"] == 3
    world.at("4h")
    assert world.warnings() == []
    done = replay(world, feed)
    assert (done["accepted"], done["rejected"]) == (3, 0)
    assert len(world.warnings()) == 1
    assert replay(world, feed)["records"] == 0
    assert rejections(world, feed) == []


def test_a_correction_that_came_before_its_signal_is_replayed_after_it(world: World) -> None:
    """`corrects` of what is not there is kept as a rejection; once the signal has come, the replay corrects it."""
    correction = signal("c-2", corrects="c-1", severity=3)
    assert world.signals(correction).json()["reasons"] == {"unknown_target": 1}
    world.signals(signal("c-1"))
    assert replay(world, "signals")["accepted"] == 1
    signals = {one["id"]: one["status"] for one in world.read("/v1/objects/o-gas")["signals"]}
    assert signals == {"c-1": "revised", "c-2": "active"}


def test_replaying_a_feed_that_does_not_exist_is_404(world: World) -> None:
    """Only feeds with a mapping, and the canonical one."""
    assert problem(world.ask("admin", "POST", "/v1/feeds/nothing/rejections/replay"))["status"] == 404


def test_a_signal_of_unknown_object_counts_from_its_confirmation_on_with_its_own_time(world: World) -> None:
    """It waits in the queue, raises nothing; once somebody says which object it is, it counts like any other, once."""
    stranger = uscc(77)
    answer = world.post(penalty(1, "6", CF_XDR_SHXYM=stranger, CF_XDR_MC="长安燃气西关站"))
    assert answer["unresolved"] == 1
    assert world.warnings() == []
    [waiting] = world.read("/v1/unresolved", "duty")
    entry = waiting["entry"]
    assert (entry["feed"], entry["signal"]["object"]["name"]) == ("penalties", "长安燃气西关站")
    path = f"/v1/unresolved/penalties/{entry['signal']['id']}"
    assert problem(world.ask("duty", "POST", path, json={"object_id": "o-none"}))["status"] == 404
    assert problem(world.ask("duty", "POST", "/v1/unresolved/penalties/none", json={"object_id": "o-gas"}))["status"] == 404
    world.at("1h")
    for _ in range(2):  # twice: a double click
        assert world.ask("duty", "POST", path, json={"object_id": "o-gas", "reason": "分支机构"}).status_code == 202
        world.app.settle()
    [warning] = world.warnings()
    tale = world.story(warning["id"])["warning"]
    assert (tale["subject"], tale["evidence_count"]) == ("o-gas", 1)
    assert tale["contributions"][0]["message"].endswith("罚款6万元"), "once, not twice"
    assert world.read("/v1/unresolved", "duty") == []


def test_a_signal_about_nothing_registered_leaves_the_queue_until_somebody_knows_better(world: World) -> None:
    """`""` is an answer too: it counts nowhere and waits no more; an object named later makes it count after all."""
    world.post(penalty(1, "6", CF_XDR_SHXYM=uscc(77), CF_XDR_MC="外地燃气站"))
    [waiting] = world.read("/v1/unresolved", "duty")
    path = f"/v1/unresolved/penalties/{waiting['entry']['signal']['id']}"
    assert world.ask("duty", "POST", path, json={"object_id": "", "reason": "外地企业"}).status_code == 202
    world.app.settle()
    assert world.read("/v1/unresolved", "duty") == []
    assert world.warnings() == []
    assert world.ask("duty", "POST", path, json={"object_id": "o-gas"}).status_code == 202
    world.app.settle()
    assert len(world.warnings()) == 1
