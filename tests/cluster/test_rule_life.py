"""The life of a rule set in a cluster: published, shown, counted, and let into force by a second person."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from app.clock import SystemClock
from app.cluster import publishing
from app.cluster.following import Following
from app.cluster.publishing import publish
from app.cluster.putting import PuttingChild
from app.cluster.rules import PublishedRules
from app.cluster.rules_known import RulesKnown
from app.rule_health import RuleHealth
from app.workshop import Died
from domain.errors import Conflict, FileProblems, Forbidden, NotFound
from domain.records import RulesetEntry
from storage import rule_versions
from tests.cluster.world import PATIENCE, RULES, Cluster, Make, leak

pytestmark = [pytest.mark.service("kafka"), pytest.mark.service("postgresql")]
FAILING = RULES.replace(
    '    say: "{leaks}次"\n',
    """\
    say: "{leaks}次"
    tests:
      - name: 两次不够
        given:
          - {at: +0h, source: hotline, kind: gas.leak, times: 2, every: 1h}
        expect: {hit_at: +1h}
""",
)
SLOW = (
    RULES
    + """\
  - id: leak-without-visit
    title: 泄漏反映后两日无检查
    status: active
    basis: [城镇燃气管理条例第四十一条]
    when: {first: kind == gas.leak and source == hotline, then_not: source == inspection, within: 48h}
    points: 65
    say: "{object.name}的泄漏反映两日内没有检查"
"""
)


def _told(cluster: Cluster) -> list[str]:
    """Return the versions that the logs of all partitions activate."""
    entries = (offer.entry for number in range(3) for _, _, frame in cluster.log_of(number) for offer in frame.offers)
    return [entry.version for entry in entries if isinstance(entry, RulesetEntry)]


def test_a_set_waits_for_two_people_before_it_is_published(make: Make) -> None:
    """With `approve_rules` nothing reaches a partition before the second one approved, who is named; a refused set never does."""
    cluster, clock = make(partitions=3), SystemClock()
    settings = cluster.settings.model_copy(update={"approve_rules": True})
    first = publish(settings, cluster.rules, "somebody", clock).version  # the first set of all is free, as in `serve`
    cluster.start()
    cluster.await_done()
    changes: list[str] = []
    putting = PuttingChild(settings)
    shown = PublishedRules(cluster.database, clock, putting, approve=True, on_change=lambda: changes.append("another"))
    (cluster.rules / "gas.yaml").write_text(FAILING)
    for _ in range(2):
        with pytest.raises(Conflict, match="rules approve"):
            publish(settings, cluster.rules, "somebody", clock)
    known = shown.approval.waiting()
    assert known is not None
    assert (known.author, known.report["tests"], known.report["failed"]) == ("", 1, ["gas.yaml:23 两次不够"])
    assert _told(cluster) == [first] * 3, "nothing of it was written to any partition"
    assert shown.approve(known.version, "甲", "") == "vouched"
    with pytest.raises(Forbidden):
        shown.approve(known.version, "甲", "")
    with pytest.raises(Conflict):
        publish(settings, cluster.rules, "somebody", clock)
    assert shown.approve(known.version, "乙", "已核对") == "approved"
    shown.settle(PATIENCE)
    assert (list(shown.problems), shown.preparing) == ([], "")
    assert (shown.active, shown.failing, changes) == (known.version, ("gas.yaml:23 两次不够",), ["another"])
    with cluster.database.read() as connection:
        found = rule_versions.versions(connection)
    assert [(each.version, each.by, each.times) for each in found] == [(known.version, "乙", 1), (first, "somebody", 1)], "once, not thrice"
    assert publish(settings, cluster.rules, "somebody", clock).version == known.version, "what is in force may be published again"

    shown.roll_back(first[:8], "甲", clock.now(), "误报过多")
    shown.settle(PATIENCE)
    waits = shown.approval.waiting()
    assert waits is not None, "going back is a change as well"
    assert (waits.version, waits.author, list(shown.problems), shown.active) == (first, "甲", [], known.version)
    with pytest.raises(Forbidden):
        shown.approve(first, "甲", "")
    shown.approve(first, "乙", "")
    shown.settle(PATIENCE)
    assert (shown.active, list(shown.problems)) == (first, [])

    (cluster.rules / "gas.yaml").write_text(RULES.replace("leaks >= 3", "leaks >= 2"))
    with pytest.raises(Conflict, match="rules approve"):
        publish(settings, cluster.rules, "somebody", clock)
    changed = shown.approval.waiting()
    assert changed is not None
    shown.approval.refuse(changed.version, "乙", "依据不足")
    with pytest.raises(Conflict, match="was refused"):
        publish(settings, cluster.rules, "somebody", clock)
    assert publish(cluster.settings, cluster.rules, "somebody", clock).version == changed.version, "where no approval is asked for"


def test_a_person_goes_back_to_a_set_and_the_folder_takes_over_when_it_changes(make: Make) -> None:
    """What was active is put in force again in every partition, with who and why; a watched folder waits until it holds something else."""
    cluster, clock = make(partitions=3), SystemClock()
    told: list[str] = []

    def follow() -> Following:
        return Following(cluster.settings, cluster.rules, "folder", clock, cluster.database, tell=told.append)

    following = follow()
    shown = PublishedRules(cluster.database, clock, PuttingChild(cluster.settings), approve=False)
    assert [following.look() for _ in range(3)] == ["same", "published", "same"], "it has to stand still first"
    cluster.start()
    cluster.await_done()
    shown.look()
    first = shown.active
    (cluster.rules / "gas.yaml").write_text("rules: [")
    assert [following.look() for _ in range(3)] == ["same", "refused", "same"]
    shown.look()
    assert [problem.file for problem in shown.problems] == ["gas.yaml"]
    (cluster.rules / "gas.yaml").write_text(FAILING)
    assert [following.look() for _ in range(2)] == ["same", "published"]
    cluster.await_done()
    shown.look()
    second = shown.active
    assert (second != first, list(shown.problems)) == (True, [])

    with pytest.raises(NotFound):
        shown.roll_back("ffff", "甲", clock.now(), "")
    assert shown.roll_back(first[:8], "甲", clock.now(), "误报过多") == first
    shown.settle(PATIENCE)
    assert (shown.active, list(shown.problems), shown.preparing) == (first, [], "")
    assert shown.pinned is not None
    assert (shown.pinned.version, shown.pinned.over, shown.pinned.by) == (first, second, "甲")
    with cluster.database.read() as connection:
        found = [(each.version, each.by, each.reason) for each in rule_versions.versions(connection)]
    assert found == [(first, "甲", "误报过多"), (second, "folder", "")]
    assert following.look() == "same"
    begun_anew = follow()
    assert [begun_anew.look() for _ in range(3)] == ["same", "pinned", "same"]
    assert "甲 went back" in told[-1]
    (cluster.rules / "gas.yaml").write_text(RULES.replace("leaks >= 3", "leaks >= 2"))
    assert [begun_anew.look() for _ in range(2)] == ["same", "published"]
    cluster.await_done()
    shown.look()
    assert (shown.active not in {first, second}, shown.pinned) == (True, None)


def test_a_check_has_bounds_for_its_time_and_memory(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set whose check dies is refused with how, and nothing of it is stored or sent."""
    cluster, clock = make(), SystemClock()
    monkeypatch.setattr(publishing.Workshop, "look_at", lambda *_, **__: Died(how="signal 14"))
    with pytest.raises(FileProblems, match=r"signal 14.*120 s and 2 GiB"):
        publish(cluster.settings, cluster.rules, "somebody", clock)
    assert cluster.ends() == {0: -1}


def test_rules_that_warm_up_or_are_told_too_late_are_known_to_the_api(make: Make) -> None:
    """What only the workers know of the rules stands in the database: put together over the partitions, by the rules in force alone."""
    cluster, clock = make(partitions=3, rules=SLOW), SystemClock()
    cluster.activate()
    cluster.start()
    cluster.send([leak(number, source="hotline") for number in range(40)])
    cluster.await_done()
    shown = PublishedRules(cluster.database, clock, PuttingChild(cluster.settings), approve=False)
    known = RulesKnown(cluster.database, lambda: shown.active)
    cluster.until(lambda: sum(count for count, _ in known.too_late().values()) == 40)
    health = RuleHealth(cluster.database, shown, {}, known.complete, known.too_late, 3)
    now = clock.now()
    found = {rule: {each.kind: each.detail for each in those} for rule, those in health.found(now).items()}
    assert found["leak-without-visit"]["late"] == "40", "of all partitions"
    assert now + timedelta(days=6) < datetime.fromisoformat(found["leaks"]["warming"]) < now + timedelta(days=8)
    (cluster.rules / "gas.yaml").write_text(RULES)
    cluster.activate()
    cluster.await_done()
    shown.look()
    assert known.too_late() == {}, "of the set in force alone"


def test_two_who_publish_follow_one_another(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one counts back the other waits, or is told so: every partition gets both sets in one order, and ends with the same."""
    cluster, clock = make(partitions=3), SystemClock()
    other = cluster.folder / "other"
    other.mkdir()
    (other / "gas.yaml").write_text(RULES.replace("leaks >= 3", "leaks >= 2"))
    counts, go_on = threading.Event(), threading.Event()

    def slowly(_: str) -> None:
        counts.set()
        assert go_on.wait(60)

    count = publishing.Counting.run

    def counting(self: publishing.Counting) -> object:
        self._tell("")
        return count(self)

    monkeypatch.setattr(publishing.Counting, "run", counting)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(publish, cluster.settings, cluster.rules, "one", clock, tell=slowly)
        assert counts.wait(60)
        second = pool.submit(publish, cluster.settings, other, "other", clock)
        with pytest.raises(TimeoutError):
            second.result(3)
        go_on.set()
        versions = [first.result(60).version, second.result(60).version]
    for number in range(3):
        entries = (offer.entry for _, _, frame in cluster.log_of(number) for offer in frame.offers)
        assert [entry.version for entry in entries if isinstance(entry, RulesetEntry)] == versions
