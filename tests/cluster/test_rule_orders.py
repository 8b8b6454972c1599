"""What people decide about rule sets survives whoever works on it, and a set is held against the newest that was sent, judged or not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from app.clock import SystemClock
from app.cluster.publishing import publish, put_in_force
from app.cluster.putting import PuttingChild
from app.cluster.rules import DEATHS, DESERTED, PublishedRules
from app.rule_folder import read_folder
from domain.errors import Conflict, IllegalValue, Problem
from domain.records import RulesetEntry
from storage import rule_versions
from storage.rule_versions import Sent
from tests.cluster.world import PATIENCE, RULES, Cluster, Make, leak

pytestmark = [pytest.mark.service("kafka"), pytest.mark.service("postgresql")]
LOWER = RULES.replace("leaks >= 3", "leaks >= 2")
STREET = RULES.replace(
    "rules:\n",
    """\
  street_leaks:
    title: 街道近7天泄漏反映
    count: signals
    by: region(9)
    where: kind == gas.leak
    window: 7d
    exact: true
rules:
  - id: street
    title: 同一街道泄漏增多
    status: active
    basis: [城镇燃气管理条例第四十条]
    when: leaks >= 1 and street_leaks >= 5
    points: 30
    say: "{street_leaks}次"
""",
)


class Later:
    """A clock that a test may set ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        self._clock = SystemClock()

    def now(self) -> datetime:
        return self._clock.now() + self.ahead


def activated(cluster: Cluster) -> list[list[str]]:
    """Return the versions that the log of each partition activates."""
    logs = [cluster.log_of(number) for number in range(cluster.settings.kafka.partitions)]
    return [[offer.entry.version for *_, frame in log for offer in frame.offers if isinstance(offer.entry, RulesetEntry)] for log in logs]


def write(cluster: Cluster, content: str) -> str:
    """Publish that content of the folder; return its version."""
    (cluster.rules / "gas.yaml").write_text(content)
    return cluster.activate()


def until(fine: Callable[[], object]) -> None:
    """Return once that is so."""
    end = time.monotonic() + PATIENCE
    while not fine():
        assert time.monotonic() < end
        time.sleep(0.05)


def kill_child(putting: PuttingChild) -> None:
    """Kill the child that works, once there is one."""
    until(lambda: putting._running is not None)
    assert putting._running is not None
    putting._running.kill()


def running(make: Make) -> tuple[Cluster, str, str]:
    """Return a cluster of a worker that ran two sets, and these."""
    cluster = make(partitions=2)
    first = cluster.activate()
    cluster.start()
    cluster.await_done()
    second = write(cluster, LOWER)
    cluster.await_done()
    return cluster, first, second


def test_a_rollback_goes_on_after_the_api_was_ended(make: Make) -> None:
    """The child dies while it waits for its turn, and the api with it: the next one shows what is under way, and ends it."""
    cluster, first, second = running(make)
    putting, clock = PuttingChild(cluster.settings), Later()
    shown = PublishedRules(cluster.database, clock, putting, approve=False)
    with cluster.database.turn("publish"):
        shown.roll_back(first[:8], "甲", clock.now(), "误报过多")
        kill_child(putting)
        shown.settle(PATIENCE)
    assert (shown.active, shown.preparing, list(shown.problems)) == (second, first, [])
    assert "started again" in shown.told

    anew = PublishedRules(cluster.database, clock, PuttingChild(cluster.settings), approve=False)
    assert (anew.preparing, anew.told) == (first, shown.told), "whoever asks another api sees it too"
    with pytest.raises(Conflict, match="being put in force"):
        anew.roll_back(second[:8], "乙", clock.now(), "")
    anew.attend()
    assert activated(cluster) == [[first, second]] * 2, "its api may still be at it"
    clock.ahead = DESERTED
    anew.attend()
    anew.settle(PATIENCE)
    assert (anew.active, anew.preparing, anew.told, list(anew.problems)) == (first, "", "", [])
    assert activated(cluster) == [[first, second, first]] * 2
    shown.attend()
    assert (shown.active, shown.preparing) == (first, "")


def test_children_that_die_again_and_again_are_told_with_the_way_out(make: Make) -> None:
    """After the third nobody tries any more: every api says so until somebody decides anew."""
    cluster, first, second = running(make)
    putting, clock = PuttingChild(cluster.settings), Later()
    shown = PublishedRules(cluster.database, clock, putting, approve=False)
    with cluster.database.turn("publish"):
        shown.roll_back(first, "甲", clock.now(), "")
        for _ in range(DEATHS):
            kill_child(putting)
            shown.settle(PATIENCE)
            clock.ahead += DESERTED
            shown.attend()
    other = PublishedRules(cluster.database, clock, putting, approve=False)
    for each in (shown, other):
        [problem] = each.problems
        assert (f"died {DEATHS} times" in problem.message, each.preparing, each.active) == (True, "", second)
    other.roll_back(first, "甲", clock.now(), "")
    other.settle(PATIENCE)
    assert (other.active, list(other.problems)) == (first, [])


def test_how_far_it_is_stands_at_every_api(make: Make) -> None:
    """What `rules publish` prints while it counts is shown for a rollback too; what somebody publishes meanwhile is the older decision."""
    cluster, first, second = running(make)
    clock, go_on = SystemClock(), threading.Event()

    def put(version: str, by: str, tell: Callable[[str], None]) -> tuple[Problem, ...]:
        del version
        (cluster.folder / "first").mkdir()
        (cluster.folder / "first" / "gas.yaml").write_text(RULES)
        tell("分区 1 / partition 1")
        assert go_on.wait(PATIENCE)
        put_in_force(cluster.settings, read_folder(cluster.folder / "first"), by, clock, ordered=True, tell=tell)
        return ()

    shown, other = (PublishedRules(cluster.database, clock, put, approve=False) for _ in range(2))
    shown.roll_back(first, "甲", clock.now(), "")
    until(lambda: (shown.attend(), other.attend(), other.told)[-1])
    assert (other.preparing, other.told) == (first, "分区 1 / partition 1")
    go_on.set()
    shown.settle(PATIENCE)
    other.attend()
    assert (other.active, other.preparing, other.told) == (first, "", "")
    assert activated(cluster) == [[first, second, first]] * 2


def test_a_later_set_overtakes_a_decision_that_nobody_has_carried_out(make: Make) -> None:
    """The api is away; who publishes meanwhile decided later, and the old decision is not carried out when the api comes back."""
    cluster, first, second = running(make)
    clock = Later()
    putting = PuttingChild(cluster.settings)
    putting.close()
    shown = PublishedRules(cluster.database, clock, putting, approve=False)
    shown.roll_back(first, "甲", clock.now(), "")
    shown.settle(PATIENCE)
    assert (shown.preparing, "after its restart" in shown.told) == (first, True)
    third = write(cluster, RULES.replace("leaks >= 3", "leaks >= 4"))
    cluster.await_done()
    anew = PublishedRules(cluster.database, clock, PuttingChild(cluster.settings), approve=False)
    clock.ahead = DESERTED
    anew.attend()
    anew.settle(PATIENCE)
    assert (anew.active, anew.preparing, anew.pinned) == (third, "", None)
    assert activated(cluster) == [[first, second, third]] * 2


def test_a_set_is_held_against_the_one_before_though_no_worker_judged_that_yet(make: Make) -> None:
    """No worker runs: a second set has to be approved all the same, and may not have a sector judged by other partitions."""
    cluster = make(partitions=3)
    first = cluster.activate()
    (cluster.rules / "gas.yaml").write_text(LOWER)
    with pytest.raises(Conflict, match="rules approve"):
        publish(cluster.settings.model_copy(update={"approve_rules": True}), cluster.rules, "somebody", SystemClock())
    (cluster.rules / "gas.yaml").write_text(STREET)
    with pytest.raises(IllegalValue, match=f"gas .*{first}"):
        cluster.activate()
    assert activated(cluster) == [[first]] * 3


def test_an_indicator_that_was_left_out_unjudged_is_counted_back(make: Make) -> None:
    """While no worker ran an indicator was left out and taken up again: what was counted for it before is gone, so it is counted back."""
    cluster = make(partitions=2)
    cluster.activate()
    cluster.start()
    cluster.send([leak(number) for number in range(80)], call=20)
    cluster.await_done()
    cluster.kill()
    write(cluster, RULES.replace("leaks", "complaints"))
    (cluster.rules / "gas.yaml").write_text(RULES)
    assert publish(cluster.settings, cluster.rules, "somebody", SystemClock()).fresh == ("gas.leaks",)
    cluster.start("two")
    cluster.send([leak(number) for number in range(80, 120)], call=20)
    cluster.until(cluster.judged)
    found = cluster.warnings()
    assert found == cluster.replayed()
    assert len(found) == 40, "the third complaint about each"


def test_a_set_that_was_sent_to_some_partitions_alone_is_sent_to_all_first(make: Make) -> None:
    """Who published it died within: the next one who publishes ends that, so that all partitions run the same sets in one order."""
    cluster = make(partitions=2)
    first = cluster.activate()
    with cluster.database.read() as connection:
        sent = rule_versions.sent(connection)
    assert sent is not None
    assert (sent.control.version, sent.whole) == (first, True)
    with cluster.database.write() as connection:
        rule_versions.keep_sent(connection, Sent(control=sent.control, each=sent.each))
    second = write(cluster, LOWER)
    assert activated(cluster) == [[first, first, second]] * 2
