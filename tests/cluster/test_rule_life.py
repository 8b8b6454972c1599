"""The life of a rule set in a cluster: published, shown, counted, and let into force by a second person."""

from __future__ import annotations

import pytest

from app.clock import SystemClock
from app.cluster.publishing import publish
from app.cluster.rules import PublishedRules
from domain.errors import Conflict, Forbidden
from domain.records import RulesetEntry
from storage import rule_versions
from tests.cluster.world import RULES, Cluster, Make

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
    shown = PublishedRules(cluster.database, clock, approve=True, on_change=lambda: changes.append("another"))
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
    assert publish(settings, cluster.rules, "somebody", clock).version == known.version
    cluster.await_done()
    shown.look()
    assert (shown.active, shown.failing, changes) == (known.version, ("gas.yaml:23 两次不够",), ["another"])
    with cluster.database.read() as connection:
        found = rule_versions.versions(connection)
    assert [(each.version, each.by, each.times) for each in found] == [(known.version, "乙", 1), (first, "somebody", 1)], "once, not thrice"
    assert publish(settings, cluster.rules, "somebody", clock).version == known.version, "what is in force may be published again"

    (cluster.rules / "gas.yaml").write_text(RULES.replace("leaks >= 3", "leaks >= 2"))
    with pytest.raises(Conflict, match="rules approve"):
        publish(settings, cluster.rules, "somebody", clock)
    changed = shown.approval.waiting()
    assert changed is not None
    shown.approval.refuse(changed.version, "乙", "依据不足")
    with pytest.raises(Conflict, match="was refused"):
        publish(settings, cluster.rules, "somebody", clock)
    assert publish(cluster.settings, cluster.rules, "somebody", clock).version == changed.version, "where no approval is asked for"
