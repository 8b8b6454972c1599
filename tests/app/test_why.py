"""Why a warning stands: from the server, on its page, and from the data folder of a stopped one, each as it was then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from click.testing import Result
from typer.testing import CliRunner

from app.cli import app
from tests.app.world import GAS, RULES, World, penalty, signal

TRIAL = """\
  - id: gas-on-trial
    title: 试运行规则
    status: shadow
    basis: [城镇燃气管理条例第四十条]
    when: leaks_24h >= 1
    points: 30
    say: "{object.name}试运行"
  - id: gas-noted
    title: 只记录的规则
    status: active
    basis: [城镇燃气管理条例第四十条]
    when: leaks_24h >= 1 and leaks_24h < 100
    points: 0
    say: "{object.name}记录"
"""
TUNED = """\
filters:
  - {id: heating, rules: [gas-on-trial], when: kind == gas.leak, reason: 供热季试点, owner: 市住建局, until: 2099-01-01}
"""


def run(*arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def why(world: World, warning: str) -> dict[str, Any]:
    """Return what the server says of why a warning stands."""
    found: dict[str, Any] = world.story(warning)["why"]
    return found


def reload(world: World, rules: str) -> None:
    """Let the server take up another pack."""
    (world.rules / "gas.yaml").write_text(rules, encoding="utf-8")
    world.app.services.rulebook.look()
    assert world.app.services.rulebook.look() == "activated"
    world.app.settle()


def test_a_hit_is_explained_with_its_values_limits_and_the_text_that_judged_it(world: World) -> None:
    """The fine of that day against the limit of that day, under the version that was active then, with file and line."""
    warning = world.warn()
    [hit] = why(world, warning)["hits"]
    assert (hit["rule"], hit["feed"], hit["signal"], hit["counts"]) == ("gas-heavy-fine", "penalties", hit["signal"], "yes")
    [part] = hit["parts"]
    assert (part["text"], part["holds"], part["left"], part["operator"], part["right"]) == ("fines_24h >= 5万元", True, 60000, ">=", 50000)
    assert part["missing"] == 0
    assert (hit["file"], RULES.splitlines()[hit["line"] - 1].strip()) == ("gas.yaml", "- id: gas-heavy-fine")
    assert hit["text"].startswith("- id: gas-heavy-fine\n  title: 燃气重罚")
    assert "tests:" not in hit["text"]
    page = world.call("GET", f"/warnings/{warning}?lang=zh", "duty", headers={"accept": "text/html"}).text
    assert "近24小时燃气罚款 = 60,000 元" in page
    assert "gas.fines_24h =" not in page
    assert '<td class="num">60,000 元</td><td class="num">&gt;= 50,000 元</td>' in page
    assert "牵头单位：市住建局 → 市住房和城乡建设局" in page


def test_neither_later_values_nor_a_later_rule_set_change_what_is_told(world: World) -> None:
    """More fines, and a set with another limit that is then taken back: the first hit stays as it was judged."""
    warning = world.warn()
    before = why(world, warning)["hits"]
    reload(world, RULES.replace("fines_24h >= 5万元", "fines_24h >= 9万元"))
    world.at("2h").post(penalty(2, "8"))
    world.at("3h")
    reload(world, RULES)
    after = why(world, warning)["hits"]
    assert after[0] == before[0]
    assert after[0]["parts"][0]["right"] == 50000
    raised = [hit for hit in after[1:] if hit["rule"] == "gas-heavy-fine"]
    assert [(hit["parts"][0]["left"], hit["parts"][0]["right"]) for hit in raised] == [(140000, 90000)]
    assert raised[0]["ruleset"] != before[0]["ruleset"]


def test_what_did_not_count_is_told_with_its_reason(tmp_path: Path) -> None:
    """A rule on trial and one that only records its hits stand beside the warning, each by its name."""
    with World(tmp_path / "world", rules=RULES + TRIAL) as world:
        world.signals(*(signal(f"s-{number}") for number in range(3)))
        [warning] = world.warnings()
        told = why(world, warning["id"])
        assert {hit["rule"]: hit["counts"] for hit in told["hits"]} == {
            "gas-leaks": "yes", "gas-on-trial": "shadow", "gas-noted": "signal_only",
        }  # fmt: skip
        assert {(one["reason"], one["rule"]) for one in told["held"]} == {("shadow", "gas-on-trial"), ("signal_only", "gas-noted")}
        [noted] = [hit for hit in told["hits"] if hit["rule"] == "gas-noted"]
        assert [(part["depth"], part["holds"]) for part in noted["parts"]] == [(0, True), (1, True), (1, True)]


def test_a_hit_on_trial_is_what_explains_the_warning_once_the_rule_is_active(tmp_path: Path) -> None:
    """A rule made active while true warns on the next signal: its hit is told with its values, as one that counts."""
    trial = RULES.replace("title: 燃气泄漏反映集中\n    status: active", "title: 燃气泄漏反映集中\n    status: shadow")
    assert trial != RULES
    with World(tmp_path / "world", rules=trial) as world:
        world.signals(*(signal(f"s-{number}") for number in range(3)))
        assert world.warnings() == []
        reload(world, RULES)
        world.at("1h").signals(signal("s-3"))
        [warning] = world.warnings()
        told = why(world, warning["id"])
        assert [(hit["rule"], hit["counts"]) for hit in told["hits"]] == [("gas-leaks", "yes")]
        assert told["held"] == []


def test_a_hit_that_a_filter_kept_back_is_told_with_the_filter(tmp_path: Path) -> None:
    """It stands beside the warning that another rule raised, as one that does not count; `why-not` names the filter too."""
    loud = TRIAL.replace("status: shadow", "status: active\n    plan: p").replace("points: 30", "points: 100")
    with World(tmp_path / "world", rules=RULES + loud) as world:
        (world.rules / "tuning").mkdir()
        (world.rules / "tuning" / "heating.yaml").write_text(TUNED, encoding="utf-8")
        reload(world, RULES + loud)
        world.signals(*(signal(f"s-{number}") for number in range(3)))
        [warning] = world.warnings()
        told = why(world, warning["id"])
        assert {hit["rule"]: (hit["counts"], hit["suppressed"]) for hit in told["hits"]}["gas-on-trial"] == ("suppressed", "heating")
        assert ("suppressed", "gas-on-trial", "heating") in {(one["reason"], one["rule"], one["by"]) for one in told["held"]}
        assert all(part["name"] != "gas-on-trial" for part in world.story(warning["id"])["warning"]["contributions"])
        page = world.call("GET", f"/warnings/{warning['id']}", "duty", headers={"accept": "text/html"}).text
        assert "按调优 heating 只记录" in page
        [trial] = {hit["title"] for hit in told["hits"] if hit["rule"] == "gas-on-trial"}
        assert f"<li>{trial} " in page, "people read titles"

        asked = run("rules", "why-not", "--object", GAS, "--rule", "gas-on-trial", "--data", world.folder / "data")
        assert "按调优 heating 不发声" in asked.stdout, asked.output


def test_the_forecast_of_the_fall_is_what_then_happens(world: World) -> None:
    """Points fade by the rule's half-life; the level falls when it was told that it would, if nothing more comes."""
    warning = world.warn()
    told = why(world, warning)
    [part, whole] = told["fades"]
    assert part["points"] == whole["points"]
    assert part["points"][0] == 65
    assert part["points"][4] == 32.5, "after 14 days, its half-life"
    [first, *_] = told["falls"]
    assert first["level"] == "yellow"
    world.until(world.clock.now().fromisoformat(first["at"]))
    assert world.story(warning)["warning"]["current_level"] == "yellow"


def test_the_page_shows_it_in_both_languages(world: World) -> None:
    """Condition, value and limit, and the rule's text, on the page of the warning."""
    warning = world.warn()
    for language, title in (("zh", "为什么预警"), ("en", "why it was raised")):
        page = world.call("GET", f"/warnings/{warning}?lang={language}", "duty", headers={"accept": "text/html"}).text
        assert title in page
        assert "fines_24h &gt;= 5万元" in page
        assert "- id: gas-heavy-fine" in page


def test_the_command_asks_the_server_and_reads_the_folder_of_a_stopped_one(world: World) -> None:
    """Both give the same account; an unknown warning is an error with exit 2."""
    warning, data = world.warn(), world.folder / "data"
    url = world.app.settings.base_url
    asked = run("rules", "explain", warning, "--url", url, "--data", data, "--output", "json")
    assert asked.exit_code == 0, asked.output
    lines = run("rules", "explain", warning, "--url", url, "--data", data).stdout
    assert "✓ fines_24h >= 5万元    60000 >= 50000" in lines
    assert "gas.yaml:" in lines
    world.shut()
    read = run("rules", "explain", warning, "--url", url, "--data", data, "--output", "json")
    assert read.exit_code == 0, read.output
    assert json.loads(read.stdout) == json.loads(asked.stdout)
    assert run("rules", "explain", "w-none", "--url", url, "--data", data).exit_code == 2


def test_the_text_of_a_restricted_signal_is_not_told_to_who_may_not_read_it(tmp_path: Path) -> None:
    """A condition on the text stands as unknown for a cooperating department; the lead reads it."""
    worded = RULES.replace("when: leaks_24h >= 3", "when: leaks_24h >= 1 and text contains 煤气")
    with World(tmp_path / "world", rules=worded) as world:
        world.signals(signal("s-1", confidential="restricted", text="张三家有煤气味"))
        [warning] = world.warnings()
        told = {who: json.dumps(world.story(warning["id"], who)["why"], ensure_ascii=False) for who in ("duty", "partner")}
        assert "张三家" in told["duty"]
        assert "张三家" not in told["partner"]


def test_stored_versions_and_folders_are_compared_by_the_command(world: World) -> None:
    """`active` against the folder it came from is the same; against an older version the changed limit is told, with exit 1."""
    data = world.folder / "data"
    assert run("rules", "diff", "active", world.rules, "--data", data).exit_code == 0
    old = world.read("/v1/status", "duty")["ruleset"]
    reload(world, RULES.replace("leaks_24h >= 3", "leaks_24h >= 4"))
    told = run("rules", "diff", old[:8], "active", "--data", data, "--output", "json")
    assert told.exit_code == 1
    assert [(one["id"], one["field"], one["old"], one["new"]) for one in json.loads(told.stdout)] == [
        ("gas-leaks", "when", "leaks_24h >= 3", "leaks_24h >= 4")
    ]
    assert run("rules", "diff", "nothing", "active", "--data", data).exit_code == 2


def test_why_not_is_answered_by_the_server_too_within_what_the_asker_may_see(world: World) -> None:
    """The same answer as the command's, by id and code and as of an instant; a warning out of scope and its score are not told."""
    before = world.clock.now().isoformat()
    world.at("1h")
    world.signals(*(signal(f"s-{number}") for number in range(2)))
    asked = run("rules", "why-not", "--object", GAS, "--rule", "gas-leaks", "--data", world.folder / "data", "--output", "json")
    assert asked.exit_code == 0, asked.output
    told = world.read(f"/v1/rules/gas-leaks/why-not?object={GAS}", "duty")
    assert told == json.loads(asked.stdout)
    assert (told["holds"], told["subject"], [part["missing"] for part in told["parts"]]) == (False, "o-gas", [1.0])
    begun = world.read(f"/v1/rules/gas-leaks/why-not?object=o-gas&at={quote(before)}", "duty")
    assert next(one["reason"] for one in begun["obstacles"]) == "unseen"

    warning = world.warn(2)
    mine, theirs = (world.read("/v1/rules/gas-heavy-fine/why-not?object=o-gas", who) for who in ("lead", "other"))
    assert (mine["warning"], mine["score"] > 0) == (warning, True)
    assert (theirs["warning"], theirs["score"], theirs["level"]) == ("", 0.0, "")
    assert theirs["parts"] == mine["parts"], "an object's data are every department's"
    for path, status in (("gas-none/why-not?object=o-gas", 404), ("gas-leaks/why-not?object=o-none", 404), ("gas-leaks/why-not", 400)):
        assert world.ask("duty", "GET", f"/v1/rules/{path}").status_code == status
    refused = world.ask("duty", "GET", "/v1/rules/gas-leaks/why-not?object=o-gas&at=2026-03-02T09:00")
    assert (refused.status_code, "2026-03-02T09:00:00+08:00" in refused.text) == (400, True)


def test_why_not_does_not_tell_the_text_of_a_restricted_signal(tmp_path: Path) -> None:
    """A condition on it stands as unknown for a department; whoever sees everything is told the value."""
    by_text = TRIAL.replace("leaks_24h >= 1\n    points: 30", "text matches '煤气'\n    points: 30")
    with World(tmp_path / "world", rules=RULES + by_text) as world:
        world.signals(signal("s-1", confidential="restricted", text="张三家有煤气味"))
        duty, other = (world.ask(who, "GET", "/v1/rules/gas-on-trial/why-not?object=o-gas").text for who in ("duty", "other"))
        assert "张三" in duty
        assert "张三" not in other


def test_the_page_of_an_object_asks_why_a_rule_did_not_hit(world: World) -> None:
    """A form with the rules that run; its answer stands on the page in the reader's language."""
    world.signals(signal("s-1"))
    for language, title, said in (("zh", "为何没有预警", "条件不成立"), ("en", "why there is no warning", "the condition does not hold")):
        plain = world.call("GET", f"/objects/o-gas?lang={language}", "duty", headers={"accept": "text/html"}).text
        assert title in plain
        assert '<option value="gas-leaks">' in plain
        assert said not in plain
        page = world.call("GET", f"/objects/o-gas?rule=gas-leaks&lang={language}", "duty", headers={"accept": "text/html"}).text
        assert said in page
        assert "leaks_24h &gt;= 3" in page


def test_a_hit_by_the_parameter_of_a_region_is_told_with_that_value(tmp_path: Path) -> None:
    """The limit that judged it, the region it came from and its last day: on the server, on the page and in the terminal."""
    burst = RULES.replace("indicators:", "params: {burst: 5}\nindicators:", 1).replace("leaks_24h >= 3", "leaks_24h >= $burst")
    with World(tmp_path / "world", rules=burst) as world:
        (world.rules / "overrides").mkdir()
        changed = "reason: 老旧管网集中\nowner: 雁塔区住建局\nuntil: 2026-12-31\nparams:\n  gas: {burst: 3}\n"
        (world.rules / "overrides" / "610113.yaml").write_text(changed, encoding="utf-8")
        reload(world, burst)
        world.signals(*(signal(f"s-{number}") for number in range(3)))
        [warning] = world.warnings()
        [hit] = why(world, warning["id"])["hits"]
        [part] = hit["parts"]
        assert (part["holds"], part["left"], part["right"], part["missing"]) == (True, 3, 3, 0)
        assert part["overridden"] == [{"name": "$burst", "value": 3, "region": "610113", "until": "2026-12-31"}]
        page = world.call("GET", f"/warnings/{warning['id']}", "duty", headers={"accept": "text/html"}).text
        assert "$burst 取 610113 区域参数 3，有效至 2026-12-31" in page
        shown = run("rules", "explain", warning["id"], "--url", world.http.base_url, "--data", world.folder / "data").stdout
        assert "$burst 取 610113 区域参数 3，有效至 2026-12-31" in shown


def test_a_hit_that_did_not_count_says_so_in_the_terminal(tmp_path: Path) -> None:
    """Kept back, on trial or only recorded: the line of the hit says so."""
    with World(tmp_path / "world", rules=RULES + TRIAL) as world:
        world.signals(*(signal(f"s-{number}") for number in range(3)))
        [warning] = world.warnings()
        shown = run("rules", "explain", warning["id"], "--url", world.http.base_url, "--data", world.folder / "data").stdout
        told = {line.split()[3]: line for line in shown.splitlines() if line.startswith("命中")}
        assert told["gas-on-trial"].endswith("（试运行，不计分）")
        assert told["gas-noted"].endswith("（只记录）")
        assert told["gas-leaks"].endswith("）")
        assert "不计分" not in told["gas-leaks"]


def test_a_warning_on_trial_says_that_nobody_was_told(tmp_path: Path) -> None:
    """`explain` of a warning that rules on trial raised, and `why-not` of the rule, both name the trial."""
    trial = TRIAL.replace("points: 30", "points: 60")
    with World(tmp_path / "world", rules=RULES + trial) as world:
        world.signals(signal("s-1"))
        data = world.folder / "data"
        asked = run("rules", "why-not", "--object", GAS, "--rule", "gas-on-trial", "--data", data)
        [line] = [line for line in asked.stdout.splitlines() if "计 60 分" in line]
        assert line.endswith("（试运行：不计入正式评分，不送达）"), asked.output
        warning = json.loads(run("rules", "why-not", "--object", GAS, "--rule", "gas-on-trial", "--data", data, "-o", "json").stdout)[
            "warning"
        ]
        told = run("rules", "explain", warning, "--data", data, "--url", "http://127.0.0.1:9").stdout
        assert "试运行预警：只由试运行规则得出，没有送达任何部门" in told
