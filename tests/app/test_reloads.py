"""Rule sets that bring new indicators, while the service runs: they count from the past on, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import resource
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app import doctor
from app.cli import app as command_line
from app.commands.output import USAGE
from app.rulebook import HELD
from domain.records import RulesetEntry
from tests.app.test_rule_folder import look
from tests.app.test_slice import of_the_engine
from tests.app.world import DEPARTMENTS, RULES, World, penalty

MORE = RULES.replace(
    "rules:\n",
    """\
  fines_10d:
    title: 近10日燃气罚款
    sum: value
    unit: 元
    where: source == penalty and matter == gas
    window: 10d
    exact: true
rules:
  - id: gas-many-fines
    title: 燃气多次处罚
    status: active
    basis: [城镇燃气管理条例第四十六条]
    when: fines_10d >= 3万元
    points: 65
    say: "{object.name}10日内燃气罚款{fines_10d}"
    tests:
      - name: 三万元即报
        given:
          - {at: +0h, source: penalty, kind: penalty.decided, matter: gas, value: 3万元}
        expect: {hit_at: +0h, level: orange}
      - name: 不足三万元不报
        given:
          - {at: +0h, source: penalty, kind: penalty.decided, matter: gas, value: 2万元}
        expect: none
""",
    1,
)


def change(world: World, content: str) -> str:
    """Write the pack and look at it."""
    (world.rules / "gas.yaml").write_text(content, encoding="utf-8")
    return look(world)


def activations(world: World) -> list[RulesetEntry]:
    """Return the activations that the journal has."""
    return [record.entry for record in world.app.journal.read(0) if isinstance(record.entry, RulesetEntry)]


def children() -> list[int]:
    """Return the processes that this one started to look at candidates."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            command = path.with_name("cmdline").read_bytes()
        except (OSError, IndexError):
            continue
        if parent == os.getpid() and b"app.candidate" in command:
            found.append(int(path.parent.name))
    return found


def rules_of_the_warning(world: World) -> Any:
    """Return the rules of the only warning, and those of them that do not know everything yet."""
    (one,) = world.warnings()
    told = world.read(f"/v1/warnings/{one['id']}", "duty")
    return told["rules"], told["warming"]


def test_a_new_indicator_counts_what_came_before_it(world: World) -> None:
    """Two fines before, one after the activation: together they are enough; the activation names where the past is worked out."""
    world.post(penalty(1, "1"))
    world.post(penalty(2, "1"))
    assert change(world, MORE) == "activated"
    prepared = activations(world)[-1].prepared
    assert prepared is not None
    assert prepared.first == 1
    assert (world.folder / "data" / "backfill" / f"{prepared.artifact}.fill").exists()
    assert world.warnings() == [], "an activation raises nothing"
    world.post(penalty(3, "1"))
    assert rules_of_the_warning(world) == (["gas-many-fines"], ["gas-many-fines"])


@pytest.mark.parametrize("artifact", ["there", "gone", "damaged"])
def test_a_restart_from_the_journal_comes_to_the_same_whatever_became_of_the_artifact(world: World, artifact: str) -> None:
    """Without snapshots everything is replayed; the artifact only saves time."""
    world.post(penalty(1, "1"))
    change(world, MORE)
    world.post(penalty(2, "1"))
    before = world.app.engine.complete_from()
    for path in (world.folder / "data" / "backfill").glob("*.fill"):
        if artifact == "gone":
            path.unlink()
        elif artifact == "damaged":
            path.write_bytes(path.read_bytes()[:-1] + b"?")
    world.app.engine.stop()
    for path in (world.folder / "data" / "snapshots").glob("*.snap"):
        path.unlink()
    world.restart()
    assert world.app.engine.complete_from() == before
    world.post(penalty(3, "1"))
    assert rules_of_the_warning(world) == (["gas-many-fines"], ["gas-many-fines"])


def test_a_replay_of_the_journal_with_its_rule_sets_gives_the_live_warnings(world: World) -> None:
    """`journal export --rules` writes the sets; `replay --rules` of each counts back as the server did; one that is missing is named."""
    world.post(penalty(1, "1"))
    world.post(penalty(2, "1"))
    assert change(world, MORE) == "activated"
    world.post(penalty(3, "1"))
    live = {one["id"]: world.read(f"/v1/warnings/{one['id']}") for one in world.warnings()}
    assert len(live) == 1
    world.shut()
    sets, journal, out = (world.folder / name for name in ("sets", "journal.ndjson", "warnings.ndjson"))
    exported = CliRunner().invoke(command_line, ["journal", "export", "--data", str(world.folder / "data"), "--rules", str(sets)])
    assert exported.exit_code == 0, exported.output
    journal.write_bytes(exported.stdout_bytes)
    assert [(folder / "gas.yaml").read_text(encoding="utf-8") for folder in sorted(sets.iterdir())] == [RULES, MORE]
    (world.folder / "d.yaml").write_text(DEPARTMENTS, encoding="utf-8")

    def replayed(*folders: Path) -> Result:
        chosen = [part for folder in folders for part in ("--rules", str(folder))]
        given = ["--signals", str(journal), "--departments", str(world.folder / "d.yaml"), "--out", str(out)]
        return CliRunner().invoke(command_line, ["replay", *chosen, *given])

    done = replayed(*sorted(sets.iterdir()))
    assert done.exit_code == 0, done.output
    found = {one["id"]: one for one in map(json.loads, out.read_text(encoding="utf-8").splitlines())}
    assert {name: of_the_engine(one) for name, one in found.items()} == {name: of_the_engine(one) for name, one in live.items()}
    assert replayed(*sorted(sets.iterdir(), reverse=True)).exit_code == 0, "the order does not matter where the export names the first set"
    refused = replayed(min(sets.iterdir()))
    assert refused.exit_code == USAGE
    assert "which was not given" in refused.stderr


def test_a_set_without_new_indicators_is_activated_without_the_past(world: World) -> None:
    """Another threshold changes no window: nothing is counted back."""
    world.post(penalty(1, "1"))
    assert change(world, RULES.replace("fines_24h >= 5万元", "fines_24h >= 1万元")) == "activated"
    assert activations(world)[-1].prepared is None


def test_a_child_that_is_killed_leaves_the_old_set_and_is_tried_again(world: World) -> None:
    """The first look loses its child, the next one activates the set; three deaths refuse it, and say so."""
    (world.rules / "gas.yaml").write_text(MORE, encoding="utf-8")
    book = world.app.services.rulebook
    book.look()

    def kill(times: int) -> None:
        while times:
            for pid in children():
                os.kill(pid, signal.SIGKILL)
                times -= 1
                while pid in children():
                    time.sleep(0.005)

    killer = threading.Thread(target=kill, args=(1,))
    killer.start()
    assert book.look() == "died"
    killer.join()
    assert len(activations(world)) == 1
    assert book.look() == "activated"
    (world.rules / "gas.yaml").write_text(MORE + "\n# another\n", encoding="utf-8")
    book.look()
    book.close()
    killer = threading.Thread(target=kill, args=(3,))
    killer.start()
    assert [book.look() for _ in range(4)] == ["died", "died", "refused", "same"]
    killer.join()
    assert "signal 9" in book.problems[0].message
    (world.rules / "gas.yaml").write_text(MORE, encoding="utf-8")
    look(world)
    assert book.problems == []


def test_the_child_that_answered_looks_at_the_next_candidate_too(world: World) -> None:
    """Who writes rules saves often: sound or refused, the same process answers, and it remembers nothing of the one before."""
    assert change(world, MORE) == "activated"
    (child,) = children()
    assert change(world, MORE.replace("fines_10d >= 3万元", "fines_11d >= 3万元")) == "refused"
    assert change(world, MORE.replace("fines_10d >= 3万元", "fines_10d >= 2万元")) == "activated"
    assert children() == [child]
    assert activations(world)[-1].prepared is None, "no indicator is new: the child starts from the set that is active"


def test_a_waiting_child_that_is_gone_is_replaced(world: World) -> None:
    """A child that dies while nobody asks it anything costs no candidate an attempt."""
    change(world, MORE)
    (child,) = children()
    os.kill(child, signal.SIGKILL)
    assert change(world, MORE + "\n# another\n") == "activated"
    assert child not in children()


def test_a_child_that_writes_what_is_no_message_has_died(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that prints a line where answers belong costs the look, not the thread that looks; the next look is another's."""
    with monkeypatch.context() as patch:
        patch.setattr("app.workshop._CHILD", "import sys; sys.stdin.readline(); print('deprecated', flush=True); sys.stdin.readline()")
        assert change(world, MORE) == "died"
        assert children() == []
    assert world.app.services.rulebook.look() == "activated"


def test_a_service_with_many_open_files_reloads_too(world: World) -> None:
    """The child's pipes may have any number; a thousand connections are no reason to run on old rules."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    with ExitStack() as held:
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        while held.enter_context(Path(os.devnull).open("rb")).fileno() < 1100:
            pass
        assert change(world, MORE) == "activated"


def test_no_child_is_left_when_the_service_has_stopped(world: World) -> None:
    """Stopping ends the child that waits."""
    change(world, MORE)
    assert children() != []
    world.app.services.rulebook.close()
    assert children() == []


def test_only_a_few_rule_sets_stay_in_memory(world: World) -> None:
    """Each change is another set; those that nobody asks for are let go, and come back from the data folder when somebody does."""
    first = world.app.services.rulebook.active
    for n in range(6):
        assert change(world, f"{RULES}\n# {n}\n") == "activated"
    book = world.app.services.rulebook
    assert len(book._cache) <= HELD
    assert book.active in book._cache
    assert book.load(first).version == first


def test_a_candidate_that_is_overtaken_by_another_is_given_up(world: World) -> None:
    """The folder changes while the child works: nothing is activated of the first, the second is."""
    pack = world.rules / "gas.yaml"
    pack.write_text("pack: [", encoding="utf-8")
    book = world.app.services.rulebook
    found = book._workshop.look_at(  # what the rulebook does
        {"gas.yaml": MORE}, {}, wanted=lambda: False, count_back=True
    )
    assert type(found).__name__ in {"Unwanted", "Sound"}
    assert len(activations(world)) == 1
    pack.write_text(MORE, encoding="utf-8")
    assert look(world) == "activated"


def test_rules_say_from_when_on_they_know_everything(world: World) -> None:
    """A window of ten days is complete ten days after the first record of the journal."""
    world.post(penalty(1, "1"))
    change(world, MORE)
    first = next(world.app.journal.read(0)).received_at
    complete = world.app.engine.complete_from()["gas-many-fines"]
    assert (complete - first).days == 10


def test_a_set_whose_own_tests_fail_is_activated_and_that_is_told(world: World) -> None:
    """A threshold may have to change tonight; what its author said would happen and does not is told until it is mended."""
    failing = MORE.replace("expect: none", "expect: {hit_at: +0h, level: orange}")
    assert failing != MORE
    assert change(world, failing) == "activated"
    told = world.read("/v1/rules", "duty")["failing"]
    assert any("不足三万元不报" in case for case in told)
    world.restart()
    assert world.read("/v1/rules", "duty")["failing"] == told, "a restart forgets nothing"
    told = doctor.examine(world.folder / "data", world.rules)
    assert [one.ok for one in told if one.what == "rules"] == [False]
    assert change(world, MORE) == "activated"
    assert world.read("/v1/rules", "duty")["failing"] == []
    told = doctor.examine(world.folder / "data", world.rules)
    assert [one.ok for one in told if one.what == "rules"] == [True]
