"""Rules on trial and the health of rules, through the running server: in the API, on the page, in the command and in the metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.app.test_why import TRIAL, run
from tests.app.world import LEAD, PARTNER, RULES, World, penalty, signal


def rules(world: World) -> dict[str, dict[str, Any]]:
    """Return the rules by id as the API tells them."""
    return {one["id"]: one for one in world.read("/v1/rules", "duty")["rules"]}


def ailing(world: World) -> dict[str, float]:
    """Return the metric by its label."""
    lines = world.call("GET", "/metrics", "monitor").text.splitlines()
    found = [line.removeprefix('fengsui_rules_ailing{ailment="') for line in lines if line.startswith("fengsui_rules_ailing{")]
    return {line.split('"')[0]: float(line.split()[-1]) for line in found}


def kinds(one: dict[str, Any]) -> set[str]:
    """Return what is wrong with a rule."""
    return {each["kind"] for each in one["health"]}


def test_a_rule_on_trial_raises_delivers_and_owes_nothing(tmp_path: Path) -> None:
    """Its hits are written down; no warning is listed, no task made, no message sent, and its page belongs to nobody's list."""
    alone = RULES.replace("when: leaks_24h >= 3", "when: leaks_24h >= 99") + TRIAL.replace("points: 30", "points: 90")
    with World(tmp_path / "world", rules=alone) as world:
        world.signals(*(signal(f"s-{number}") for number in range(3)))
        world.at("2d")
        assert world.warnings() == []
        assert world.read("/v1/outbox", "duty") == []
        assert all(office.attempts == [] for office in world.offices)
        on_trial = rules(world)["gas-on-trial"]
        assert (on_trial["hits_month"], on_trial["never_fired"]) == (1, False)
        assert on_trial["trial"] == {"subjects": 1, "warnings": 1, "beside": 0, "confirmed": 0, "unfounded": 0}
        assert rules(world)["gas-leaks"]["trial"] is None
        assert "fengsui_warnings_open{" not in world.call("GET", "/metrics", "monitor").text


def test_a_trial_is_held_against_what_the_departments_found(tmp_path: Path) -> None:
    """Beside the active rule's warning about the same subject, which was confirmed; on the page and in the command."""
    with World(tmp_path / "world", rules=RULES + TRIAL) as world:
        world.signals(*(signal(f"s-{number}") for number in range(3)))
        assert len(world.warnings()) == 1
        world.finish(LEAD, PARTNER)
        world.accept(PARTNER, LEAD)
        assert rules(world)["gas-on-trial"]["trial"] == {"subjects": 1, "warnings": 1, "beside": 1, "confirmed": 1, "unfounded": 0}
        page = world.call("GET", "/rules?lang=zh", "duty", headers={"accept": "text/html"}).text
        told = "试运行 30 天：对象 1，本可预警 1；其中 1 个对象另有正式预警（属实 1，不属实 0）"
        assert told in page
        status = run("rules", "status", "--url", world.app.settings.base_url, "--data", world.folder / "data")
        assert status.exit_code == 0, status.output
        assert told in status.stdout


def test_a_fresh_rule_warms_up_and_one_that_never_hits_is_found_after_a_month(world: World) -> None:
    """The window of a day is full after a day; without a hit in 30 days and with its feed alive a rule never fires."""
    assert all(kinds(one) == {"warming"} for one in rules(world).values())
    assert ailing(world)["warming"] == 2
    world.at("2d").signals(*(signal(f"s-{number}", occurred_at="2026-03-04T08:30:00+08:00") for number in range(3)))
    assert all(kinds(one) == set() for one in rules(world).values())
    world.at("31d").signals(signal("s-9", occurred_at="2026-04-02T08:30:00+08:00"))
    world.post(penalty_now())
    assert kinds(rules(world)["gas-leaks"]) == set()
    assert kinds(rules(world)["gas-heavy-fine"]) == {"never_fires"}
    assert ailing(world) == {"never_fires": 1, "noisy": 0, "slow": 0, "overlapping": 0, "blind": 0, "warming": 0, "starved": 0, "late": 0}
    page = world.call("GET", "/rules?lang=zh", "duty", headers={"accept": "text/html"}).text
    assert "从未命中" in page


def test_a_rule_whose_source_sends_nothing_is_starved_and_with_a_silent_feed_blind(world: World) -> None:
    """Fines that never came starve the rule on fines; when the feed that carried them falls silent, it is blind."""
    world.at("31d").signals(signal("s-1", occurred_at="2026-04-02T08:30:00+08:00"))
    assert kinds(rules(world)["gas-heavy-fine"]) == {"starved"}
    world.post(penalty_now())
    assert kinds(rules(world)["gas-heavy-fine"]) in ({"starved"}, {"never_fires"})  # an answer stands for half a minute
    world.at("31d1m")
    assert kinds(rules(world)["gas-heavy-fine"]) == {"never_fires"}
    world.at("60d")
    assert world.read("/v1/feeds", "duty")
    assert kinds(rules(world)["gas-heavy-fine"]) == {"blind"}


def penalty_now() -> dict[str, Any]:
    """Return a small fine of the second of April."""
    return penalty(77, "0.1", CF_JDRQ="2026-04-02")


def test_a_renamed_rule_has_the_past_of_its_old_name(tmp_path: Path) -> None:
    """What hit a month ago as another id has fired, and overlaps with nothing for having been that id."""
    with World(tmp_path / "world") as world:
        world.signals(*(signal(f"s-{number}") for number in range(3)))
        world.at("1d")
        renamed = RULES.replace("  - id: gas-leaks\n", "  - id: gas-many-leaks\n    renamed_from: gas-leaks\n")
        (world.rules / "gas.yaml").write_text(renamed, encoding="utf-8")
        assert world.app.services.rulebook.refresh() == "activated"
        world.at("33d").signals(signal("s-9", occurred_at="2026-04-04T08:30:00+08:00"))
        one = rules(world)["gas-many-leaks"]
        assert (one["never_fired"], kinds(one)) == (False, set())


def test_a_condition_that_the_newest_signals_decide_early_is_measured_whole(tmp_path: Path) -> None:
    """The cost of a reading is that of all parts, not of those up to the first that is false."""
    long = " or ".join(f"text contains '某{number}'" for number in range(80))
    slow = f"""\
  - id: gas-slow
    title: 读得很慢
    status: shadow
    basis: [某条例]
    when: kind == penalty.decided and ({long})
    points: 0
    say: 某某
"""
    with World(tmp_path / "world", rules=RULES + slow) as world:
        world.signals(*(signal(f"s-{number}", text="某" * 2000) for number in range(3)))
        assert "slow" in kinds(rules(world)["gas-slow"])
        assert "slow" not in kinds(rules(world)["gas-leaks"])
