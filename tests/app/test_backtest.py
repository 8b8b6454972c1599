"""Another rule set on the journal of a running server: what it would have raised, found true or not, and whom it would have loaded."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_why import run
from tests.app.world import FOOD, LEAD, PARTNER, RULES, World, penalty, signal

EARLIER = RULES.replace("leaks_24h >= 3", "leaks_24h >= 2")
PERIOD = ("--from", "2026-03-02", "--to", "2026-03-09")


def backtest(world: World, rules: str, *more: object) -> dict[str, Any]:
    """Return the report of a candidate set against the active one."""
    candidate = world.folder / "candidate"
    candidate.mkdir(exist_ok=True)
    (candidate / "gas.yaml").write_text(rules, encoding="utf-8")
    settings = world.folder / "serve.toml"
    settings.write_text('[egress]\nallow = ["127.0.0.0/8"]\n', encoding="utf-8")
    given = ("--rules", candidate, "--data", world.folder / "data", "--config", settings, "--output", "json")
    result = run("rules", "backtest", *PERIOD, *given, *more)
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def leaks(world: World, *identities: str, code: str = "", at: str = "08:30") -> None:
    """Report gas leaks of the gas company, or of another."""
    about = {"object_id": code} if code else {}
    world.signals(*(signal(each, occurred_at=f"2026-03-02T{at}:00+08:00", **about) for each in identities))


def test_the_same_set_gives_what_really_happened(world: World) -> None:
    """No change, the very warnings of the server with their departments, what was found of them, and the week in which they are due."""
    world.warn()
    world.at("1h")
    world.finish(LEAD, PARTNER)
    world.accept(PARTNER, LEAD)
    world.at("2h")
    leaks(world, "s-1", "s-2", "s-3", at="10:30")
    report = backtest(world, RULES)
    assert (report["added"], report["removed"], report["changed"], report["changes"]) == (0, 0, 0, [])
    old, new = report["old"], report["new"]
    assert old == new
    really = world.warnings()
    assert report["same"] == new["warnings"] == len(really) == 2
    assert new["departments"] == {LEAD: 2}
    assert new["levels"] == {"orange": 2}
    assert new["verdicts"] == {"": 1, "confirmed": 1}
    assert (new["hit_rate"], new["missed"]) == (1.0, 0)
    assert new["weeks"] == {"2026-W10": 2}
    assert sorted(new["load"]) == [PARTNER, LEAD]
    assert sum(new["load"][LEAD].values()) == 2
    assert new["hits"] == {"gas-heavy-fine": 1, "gas-leaks": 1}


def test_what_another_limit_would_have_changed(world: World) -> None:
    """A lower limit raises one more and another earlier; a higher one raises none, and misses one that was confirmed."""
    leaks(world, "s-1", "s-2")
    leaks(world, "s-3", "s-4", code=FOOD)
    world.at("1h")
    leaks(world, "s-5", at="09:30")
    assert len(world.warnings()) == 1
    world.finish(LEAD, PARTNER)
    world.accept(PARTNER, LEAD)
    report = backtest(world, EARLIER)
    told = {one["subject"]: one for one in report["changes"]}
    assert (told["o-food"]["kind"], told["o-food"]["old"], told["o-food"]["new"]["level"]) == ("added", None, "orange")
    assert (told["o-gas"]["kind"], told["o-gas"]["fields"]) == ("changed", ["raised_at"])
    assert told["o-gas"]["new"]["raised_at"] < told["o-gas"]["old"]["raised_at"]
    assert (report["added"], report["changed"], report["new"]["warnings"]) == (1, 1, 2)
    assert report["new"]["verdicts"] == {"": 1, "confirmed": 1}

    higher = backtest(world, RULES.replace("leaks_24h >= 3", "leaks_24h >= 30"))
    assert [(one["kind"], one["subject"], one["old"]["verdict"]) for one in higher["changes"]] == [("removed", "o-gas", "confirmed")]
    assert (higher["new"]["warnings"], higher["new"]["missed"], higher["new"]["hit_rate"]) == (0, 1, None)


def test_what_was_found_after_the_period_counts_for_it(world: World) -> None:
    """A warning of the period that was answered later has its finding; one raised later does not count."""
    world.warn()
    world.at("7d")
    world.finish(LEAD, PARTNER)
    world.accept(PARTNER, LEAD)
    world.at("8d")
    leaks(world, "s-1", "s-2", "s-3")
    report = backtest(world, RULES)
    assert report["new"]["verdicts"] == {"confirmed": 1}
    assert report["new"]["hits"] == {"gas-heavy-fine": 1}


def test_signals_before_the_period_fill_its_windows(world: World) -> None:
    """The warm-up is the longest window and three half-lives; without it, what came before the period is not counted."""
    leaks(world, "s-1", "s-2")
    world.at("16h")
    leaks(world, "s-3", at="20:00")
    tail = ("--from", "2026-03-03")
    report = backtest(world, RULES, *tail)
    assert report["warmed_from"] == "2026-01-18T16:00:00Z", "a day and six weeks before"
    assert (report["new"]["warnings"], report["signals"]) == (1, 3)
    cold = backtest(world, RULES, *tail, "--warm-up", "1m")
    assert (cold["new"]["warnings"], cold["signals"]) == (0, 1)


def test_it_runs_beside_the_server_and_twice_alike(world: World) -> None:
    """While signals are taken in it reads what is synced; the same journal gives the same report, byte for byte."""
    leaks(world, "s-1", "s-2", "s-3")
    end = threading.Event()

    def write() -> None:
        number = 0
        while not end.is_set() and number < 200:
            number += 1
            world.ask("signals", "POST", "/v1/signals", json=[signal(f"t-{number}", object_id=FOOD, kind="food.other")])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        during = [backtest(world, EARLIER) for _ in range(3)]
    finally:
        end.set()
        writer.join()
    assert {report["new"]["warnings"] for report in during} == {1}
    world.app.settle()
    assert json.dumps(backtest(world, EARLIER)) == json.dumps(backtest(world, EARLIER))


def test_the_report_is_text_and_markdown_too(world: World) -> None:
    """Both name the added warning, its department and the week of its deadline; Markdown is tables."""
    world.post(penalty(1, "3"))
    candidate = world.folder / "candidate"
    candidate.mkdir()
    (candidate / "gas.yaml").write_text(RULES.replace("fines_24h >= 5万元", "fines_24h >= 1万元"), encoding="utf-8")
    given = ("rules", "backtest", *PERIOD, "--rules", candidate, "--data", world.folder / "data")
    text, markdown = (run(*given, "--output", form).stdout for form in ("text", "markdown"))
    assert "1 added, 0 removed, 0 changed, 0 the same" in text
    for told in (text, markdown):
        assert "新增" in told
        assert "o-gas" in told
        assert f"市住房和城乡建设局 ({LEAD}) 2026-W" in told
    assert "| --- | --- |" in markdown


@pytest.mark.parametrize(
    "given",
    [
        ("--from", "2026-03-09", "--to", "2026-03-02"),
        ("--from", "monday", "--to", "2026-03-02"),
        (*PERIOD, "--warm-up", "long"),
        (*PERIOD, "--against", "none"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(shared: World, given: tuple[str, ...]) -> None:
    """A period that ends before it begins, no date, no length, no such set: exit 2."""
    assert run("rules", "backtest", *given, "--rules", shared.rules, "--data", shared.folder / "data").exit_code == 2


def test_a_folder_that_never_served_is_an_error(tmp_path: Path) -> None:
    """There is nothing to run on."""
    assert run("rules", "backtest", *PERIOD, "--data", tmp_path).exit_code == 2
