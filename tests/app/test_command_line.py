"""The command line: help that reads well, data on standard output, exit codes 0, 1 and 2, and the server's own words for refusals."""
# Long because: each command is shown once, against one world.

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from app.cli import app
from app.version import VERSION
from deploy.kafka.local import free_port
from tests.app.test_inferences import INFERENCES
from tests.app.world import CATALOGUE, DEPARTMENTS, LEAD, OBJECTS, PARTNER, RULES, World, penalty
from tests.campaigns.serving import ROOT
from tests.connectors.senders import as_csv

OK, FINDINGS, USAGE = 0, 1, 2


def run(*arguments: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def commands(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield every command by its words."""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, *path, name)


ALL = list(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help_in_both_languages(words: tuple[str, ...]) -> None:
    """`--help` exits 0 and says what it is for, Chinese first."""
    result = run(*words, "--help")
    assert result.exit_code == OK, result.output
    told = result.stdout.split("Options", 1)[0].replace("Usage:", "")
    assert any("\u4e00" <= letter <= "\u9fff" for letter in told)
    assert any(letter.isascii() and letter.isalpha() for letter in told)


def test_a_command_that_is_none_is_a_usage_error() -> None:
    """Exit 2, on standard error, nothing on standard output."""
    for words in (("nonsense",), ("rules", "nonsense"), ("feeds", "test"), ("rules", "check", "--nonsense")):
        result = run(*words)
        assert result.exit_code == USAGE
        assert result.stdout == ""
        assert result.stderr


def test_rules_check_tells_of_a_window_that_is_shorter_than_its_feed_is_late(tmp_path: Path) -> None:
    """By the shipped mappings, and by the city's own where it has one: court rulings are told a month late, or within a day."""
    text = (ROOT / "docs/first-rule/packs/my-gas.yaml").read_text(encoding="utf-8")
    pack = text.replace("where: source in [complaint, hotline] and kind in gas.*", "where: source == ruling")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "my-gas.yaml").write_text(pack, encoding="utf-8")
    (tmp_path / "own").mkdir()
    mapping = (ROOT / "connectors/mappings/rulings.yaml").read_text(encoding="utf-8").replace("delay: 720h", "delay: 24h")
    (tmp_path / "own" / "rulings.yaml").write_text(mapping, encoding="utf-8")
    shipped = run("rules", "check", tmp_path / "rules")
    assert shipped.exit_code == OK
    assert "窗口短于来源 ruling 申报的时延 30天" in shipped.stdout
    assert "申报的时延" not in run("rules", "check", tmp_path / "rules", "--mappings", tmp_path / "own").stdout


def test_rules_check_and_test_tell_a_good_folder_from_a_bad_one(tmp_path: Path) -> None:
    """0 for a sound set, 1 with file:line:column for a broken one, 2 for a folder that is not there."""
    pack = tmp_path / "gas.yaml"
    pack.write_text(RULES, encoding="utf-8")
    assert run("rules", "check", tmp_path).exit_code == OK
    tested = run("rules", "test", tmp_path)
    assert (tested.exit_code, tested.stdout.strip()) == (OK, "4 个测试，0 个未通过 / 4 tests, 0 failed")
    listed = json.loads(run("rules", "list", tmp_path, "--output", "json").stdout)
    assert [one["id"] for one in listed] == ["gas-heavy-fine", "gas-leaks"]
    pack.write_text(RULES + INFERENCES, encoding="utf-8")
    assert run("rules", "test", tmp_path).stdout.strip() == "6 个测试，0 个未通过 / 6 tests, 0 failed", "those of inferences run too"

    pack.write_text(RULES.replace("fines_24h >= 5万元", "fines_24h >= 9万元"), encoding="utf-8")
    assert run("rules", "check", tmp_path).exit_code == OK
    failing = run("rules", "test", tmp_path)
    assert failing.exit_code == FINDINGS
    assert "两笔合计五万元即报" in failing.stdout

    pack.write_text(RULES.replace("    points: 65\n", "    pionts: 65\n", 1), encoding="utf-8")
    line = RULES.splitlines().index("    points: 65") + 1
    for command in ("check", "test", "list"):
        broken = run("rules", command, tmp_path)
        assert broken.exit_code in {FINDINGS, USAGE}
        assert f"gas.yaml:{line}:5" in broken.output
    assert run("rules", "check", tmp_path).exit_code == FINDINGS
    pack.write_bytes(b"pack: \xff\xfe")
    assert run("rules", "check", tmp_path).exit_code == FINDINGS
    assert run("rules", "check", tmp_path / "nowhere").exit_code == USAGE
    pack.unlink()
    empty = run("rules", "check", tmp_path)
    assert (empty.exit_code, empty.stdout) == (FINDINGS, "")
    assert "没有规则文件" in empty.stderr


def test_the_version_is_told_either_way() -> None:
    """As a command and as the flag that everybody tries first."""
    assert run("--version").stdout == run("version").stdout == f"{VERSION}\n"


def test_feeds_test_tries_a_mapping_without_storing_anything(tmp_path: Path) -> None:
    """0 where every record goes through, 1 with row, reason and field where one does not, 2 for an unknown feed."""
    file = tmp_path / "a.csv"
    file.write_bytes(as_csv([penalty(1), penalty(2)], "gb18030"))
    good = run("feeds", "test", "penalties", file)
    assert good.exit_code == OK
    assert "2 records: 2 mapped, 0 rejected" in good.stdout
    assert "penalty.decided" in good.stdout
    file.write_bytes(as_csv([penalty(1), penalty(2, CF_JDRQ="2026-02-30")]))
    bad = run("feeds", "test", "penalties", file)
    assert bad.exit_code == FINDINGS
    assert f"{file}:3 bad_date CF_JDRQ" in bad.stdout
    unknown = run("feeds", "test", "penaltys", file)
    assert unknown.exit_code == USAGE
    assert "penalties" in unknown.stderr
    assert list(tmp_path.iterdir()) == [file]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with nothing imported: the commands do it."""
    with World(tmp_path_factory.mktemp("world") / "world", furnished=False) as made:
        yield made


def through(world: World, *arguments: object) -> Result:
    """Run a command that goes through the world's server."""
    return run(*arguments, "--url", str(world.http.base_url), "--data", world.folder / "data")


def test_the_commands_do_everything_through_the_server(served: World, tmp_path: Path) -> None:
    """Registers, credentials, endpoints, a feed with a rejection, warnings: each command's data can be read by the next program."""
    for what, name, text in (("departments", "d.yaml", DEPARTMENTS), ("catalogue", "c.csv", CATALOGUE), ("objects", "o.csv", OBJECTS)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        done = through(served, "import", what, tmp_path / name)
        assert done.exit_code == OK, done.output
        assert "refused 0" in done.stdout
        assert ("version" in done.stdout) is (what != "departments"), "departments have no version"
    (tmp_path / "o.csv").write_text("id,type,name\no-x,castle,城堡\n", encoding="utf-8")
    partly = through(served, "import", "objects", tmp_path / "o.csv")
    assert partly.exit_code == FINDINGS
    assert "o.csv:2" in partly.stderr

    secret = through(served, "access", "endpoint", LEAD, served.offices[LEAD].url).stdout.strip()
    assert secret.startswith("whsec_")
    assert through(served, "access", "rotate", LEAD).stdout.strip().startswith("whsec_")
    served.tokens["feed"] = through(served, "access", "grant", "处罚", "--role", "feed", "--feed", "penalties").stdout.strip()
    served.tokens["duty"] = through(served, "access", "grant", "值班", "--role", "duty").stdout.strip()
    boss = through(served, "access", "grant", "x", "--role", "adimn")
    assert boss.exit_code == USAGE
    assert "可取：admin, duty" in boss.stderr
    assert 'did you mean "admin"' in boss.stderr
    assert through(served, "access", "grant", "x", "--role", "department", "--department", "none").exit_code == USAGE
    credentials = json.loads(through(served, "access", "list", "--output", "json").stdout)
    assert [one["name"] for one in credentials] == ["admin", "处罚", "值班"]
    assert through(served, "access", "revoke", credentials[-1]["fingerprint"]).exit_code == OK
    assert served.ask("duty", "GET", "/v1/warnings").status_code == 401

    served.post(penalty(1), penalty(2, "许多"))
    [feed] = [one for one in json.loads(through(served, "feeds", "status", "--output", "json").stdout) if one["state"] != "never_seen"]
    assert (feed["feed"], feed["state"], feed["accepted"], feed["rejected"]) == ("penalties", "speaking", 1, 1)
    assert "bad_type" in through(served, "feeds", "rejections", "penalties").stdout
    unknown = through(served, "feeds", "rejections", "penaltys")
    assert (unknown.exit_code, unknown.stdout) == (USAGE, "")
    assert 'did you mean "penalties"' in unknown.stderr
    assert "hotline-12345" in unknown.stderr
    none = through(served, "feeds", "rejections", "licences", "--output", "json")
    assert (none.exit_code, json.loads(none.stdout)) == (OK, []), "a feed that has none is no error"
    assert through(served, "feeds", "quarantine").exit_code == OK
    replayed = through(served, "feeds", "replay", "penalties")
    assert replayed.exit_code == FINDINGS
    assert "1 rejected again" in replayed.stdout

    [warning] = json.loads(through(served, "warnings", "list", "--output", "json").stdout)
    assert warning["lead"] == LEAD
    assert json.loads(through(served, "warnings", "show", warning["id"]).stdout)["warning"]["id"] == warning["id"]
    [exported] = through(served, "warnings", "export").stdout.splitlines()
    assert json.loads(exported)["cooperating"] == [PARTNER]
    assert through(served, "warnings", "show", "w-none").exit_code == USAGE
    for option, value in (("--status", "opne"), ("--level", "rde"), ("--department", "zhujain")):
        mistyped = through(served, "warnings", "list", option, value)
        assert (mistyped.exit_code, mistyped.stdout) == (USAGE, "")
        assert "可取" in mistyped.stderr
    assert through(served, "rules", "status").exit_code == OK


def test_without_a_server_or_its_token_the_commands_say_what_to_do(tmp_path: Path) -> None:
    """Exit 2 and one sentence, no traceback."""
    for prepare in (lambda: None, lambda: (tmp_path / "admin-token").write_text("x")):
        prepare()
        result = run("warnings", "list", "--data", tmp_path, "--url", f"http://127.0.0.1:{free_port()}")
        assert result.exit_code == USAGE
        assert "--data" in result.stderr or "fengsui serve" in result.stderr
        assert "Traceback" not in result.output
    assert run("journal", "export", "--data", tmp_path / "none").exit_code == USAGE
    assert run("audit", "verify", "--data", tmp_path / "none").exit_code == USAGE


def test_audit_verify_journal_export_and_doctor_read_the_folder_itself(world: World) -> None:
    """Beside a running serve and after it; one changed row of the trail is found and its warning named."""
    warning = world.warn()
    world.finish(PARTNER)
    data = world.folder / "data"
    lines = run("journal", "export", "--data", data).stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, world.app.journal.head() + 1))
    assert json.loads(run("journal", "export", "--data", data, "--after", 3).stdout.splitlines()[0])["seq"] == 4
    sound = run("audit", "verify", "--data", data)
    assert sound.exit_code == OK
    assert "broken chains 0" in sound.stdout
    doctor = run("doctor", "--data", data)
    assert doctor.exit_code == OK, doctor.stdout
    assert "every chain is sound" in doctor.stdout
    assert "1 warnings under way" in doctor.stdout
    assert re.search(rf"active rules: .*version {world.read('/v1/status', 'duty')['ruleset'][:12]}", doctor.stdout)

    world.shut()
    (data / "sealing-key").rename(world.folder / "key")
    lost = run("doctor", "--data", data)
    assert lost.exit_code == FINDINGS
    assert re.search(r"LOOK  sealing key: .*请放回原处", lost.stdout)
    assert run("doctor", "--data", data, "--sealing-key", world.folder / "key").exit_code == OK
    (world.folder / "key").rename(data / "sealing-key")
    data.chmod(0o755)
    loose = run("doctor", "--data", data)
    assert loose.exit_code == FINDINGS
    assert "chmod 700" in loose.stdout
    data.chmod(0o700)
    with sqlite3.connect(data / "fengsui.db") as connection:
        connection.execute("UPDATE timers SET state = 'cancelled'")
    forgotten = run("doctor", "--data", data)
    assert forgotten.exit_code == FINDINGS
    said = r"\S+ 的 \w+ 计时在走，却没有定时器 / clock \w+ of \S+ runs without a timer"
    assert re.search(f"LOOK  obligations: {warning}: {said}", forgotten.stdout)
    with sqlite3.connect(data / "fengsui.db") as connection:
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE n = 2")
    changed = run("audit", "verify", "--data", data)
    assert changed.exit_code == FINDINGS
    assert warning in changed.stderr
    assert run("doctor", "--data", data).exit_code == FINDINGS
    with sqlite3.connect(data / "fengsui.db") as connection:
        connection.execute("DELETE FROM audit WHERE n = 2")
    assert "entry 2 is missing" in run("audit", "verify", "--data", data).stderr


def test_serve_refuses_settings_that_make_no_sense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 2 with the setting's name, for a file, the environment and a flag; nothing is created."""
    config = tmp_path / "fengsui.toml"
    for text, name in (
        ("nonsense = 1\n", "nonsense"),
        ("port = 99999\n", "port"),
        ('[egress]\nallow = ["x"]\n', "egress"),
        ("[", "fengsui.toml"),
    ):
        config.write_text(text)
        result = run("serve", "--config", config, "--data", tmp_path / "data")
        assert result.exit_code == USAGE, text
        assert name in result.stderr
    config.unlink()
    assert run("serve", "--config", config, "--data", tmp_path / "data").exit_code == USAGE
    monkeypatch.setenv("FENGSUI_QUIET_HOURS", "-1")
    wrong = run("serve", "--data", tmp_path / "data")
    assert wrong.exit_code == USAGE
    assert "quiet_hours" in wrong.stderr
    assert not (tmp_path / "data").exists()


def test_serve_on_a_taken_port_or_folder_says_so(world: World) -> None:
    """Exit 2 with the reason, in a process of its own; the running one goes on."""
    for data, port, says in (
        (world.folder / "other", world.app.settings.port, "请停下占用它的进程"),
        (world.folder / "data", free_port(), str(world.folder / "data")),
    ):
        command = [sys.executable, "-m", "app.cli", "serve", "--data", str(data), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=240)
        assert done.returncode == USAGE
        assert says in done.stderr
        assert "Traceback" not in done.stderr
    world.warn()


def test_the_demo_on_a_taken_port_says_so(world: World) -> None:
    """Exit 2 with the reason and no traceback, before a month is played."""
    command = [sys.executable, "-m", "app.cli", "demo", "--port", str(world.app.settings.port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=240)
    assert (done.returncode, "choose another port" in done.stderr, "Traceback" in done.stderr) == (USAGE, True, False), done.stderr


def test_doctor_knows_the_file_system_of_a_relative_folder_and_of_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same name by every way to the folder, never an empty one."""
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("data")
    monkeypatch.chdir(tmp_path)
    told = {re.search(r"file system: (\S+)", run("doctor", "--data", way).stdout) for way in ("data", "link", tmp_path / "data")}
    names = {found.group(1) for found in told if found}
    assert len(names) == 1
    assert names.isdisjoint({"", "unknown"})


def test_without_a_sound_rule_set_doctor_and_readyz_say_so(tmp_path: Path) -> None:
    """A folder with nothing but a typo: the service runs, is not ready, and doctor names file, line and column."""
    with World(tmp_path / "world", rules="pack: [", furnished=False) as world:
        answer = world.http.get("/readyz")
        assert answer.status_code == 503
        told = run("doctor", "--data", world.folder / "data", "--rules", world.rules)
    assert told.exit_code == FINDINGS
    assert "LOOK  active rules" in told.stdout
    assert re.search(r"LOOK  rules: .*gas\.yaml:1:", told.stdout)
    assert "active rules" not in run("doctor", "--data", tmp_path / "none").stdout


def test_what_cannot_be_read_or_written_is_a_sentence_not_a_traceback(tmp_path: Path) -> None:
    """An address that is none, a folder that is none, a file in another encoding, a time that is none: exit 2 and what to do."""
    (tmp_path / "admin-token").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "latin.csv").write_bytes(b"time,v\n\xff\xfe,1\n")
    (tmp_path / "s.ndjson").write_text("")
    for words, says in (
        (("warnings", "list", "--url", "nonsense", "--data", tmp_path), "http://127.0.0.1:8080"),
        (("dashboards", "build", "--out", tmp_path / "file" / "x"), "不能读写"),
        (("demo", "--headless", "--summary", tmp_path / "none" / "out.json"), "no such folder"),
        (("models", "score", "--input", tmp_path / "latin.csv", "--time", "time", "--value", "v", "--out", tmp_path / "o"), "UTF-8"),
        (("replay", "--signals", tmp_path / "s.ndjson", "--out", tmp_path / "o", "--until", "tomorrow"), "2026-03-01T08:00:00+08:00"),
        (("replay", "--signals", tmp_path / "s.ndjson", "--out", tmp_path / "none" / "o"), "no such file"),
        (("journal", "export", "--data", tmp_path, "--after", "-5"), "--after"),
    ):
        result = run(*words)
        assert result.exit_code == USAGE, f"{words}: {result.output}"
        assert says in result.stderr, words
        assert result.exception is None or isinstance(result.exception, SystemExit), words


def test_tables_show_times_as_people_read_them(served: World) -> None:
    """To the minute and in Asia/Shanghai; JSON has them exactly."""
    row = through(served, "access", "list").stdout.splitlines()[1]
    exact = json.loads(through(served, "access", "list", "--output", "json").stdout)[0]["created_at"]
    assert "2026-03-02 09:00" in row
    assert exact == "2026-03-02T01:00:00Z"
    assert exact not in row


def test_a_refused_file_is_told_once(served: World, tmp_path: Path) -> None:
    """The place and the reason, not the reason again below it."""
    (tmp_path / "c.csv").write_text("id,name\n1,2\n", encoding="utf-8")
    refused = through(served, "import", "catalogue", tmp_path / "c.csv")
    assert refused.exit_code == USAGE
    assert refused.stderr.count("没有可识别的表头") == 1


def test_a_data_folder_that_is_not_there_is_a_finding_where_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped name, or a file, is not all well; without a word the folder may still be to come."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert run("doctor").exit_code == OK
    for named in ("typo", "file"):
        told = run("doctor", "--data", named)
        assert (told.exit_code, "LOOK  data folder" in told.stdout) == (FINDINGS, True), named


def test_a_rule_file_in_the_place_of_a_folder_is_told_which_folder(tmp_path: Path) -> None:
    """It exists, so it is not "no such file"."""
    (tmp_path / "mine.yaml").write_text(RULES, encoding="utf-8")
    for command, code in (("check", FINDINGS), ("test", USAGE)):
        told = run("rules", command, tmp_path / "mine.yaml")
        assert told.exit_code == code
        assert f"所在的目录：{tmp_path}" in told.stderr


def test_a_mistyped_sector_is_a_warning_with_the_nearest_one(tmp_path: Path) -> None:
    """A deployment may have its own, so that it is no error."""
    (tmp_path / "gas.yaml").write_text(RULES.replace("sector: gas", "sector: gass"), encoding="utf-8")
    told = run("rules", "check", tmp_path)
    assert told.exit_code == OK
    assert re.search(r"gas.yaml:\d+:\d+ 领域 “gass”.*gas.*\[提示 warning\]", told.stdout)


def test_a_remark_on_a_row_is_no_refusal(served: World, tmp_path: Path) -> None:
    """A row with a wrong check digit is taken and flagged: nothing was refused, and the command ends with 0."""
    (tmp_path / "o.csv").write_text("id,type,name,code\no-x,enterprise,甲公司,91610113MA6TXXXX11\n", encoding="utf-8")
    done = through(served, "import", "objects", tmp_path / "o.csv")
    assert (done.exit_code, done.stdout.split("，第")[0]) == (OK, "导入 1 行，拒收 0 行，提示 1 处"), done.output
    assert "o.csv:2" in done.stderr
