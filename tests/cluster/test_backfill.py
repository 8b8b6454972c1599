"""New indicators of a cluster, on real brokers and a real PostgreSQL: counted back in every partition, as one replay of everything does."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select

from domain.partitions import Place
from domain.records import RulesetEntry
from storage.tables import backfills
from tests.cluster.world import RULES, Cluster, Make, leak

pytestmark = [pytest.mark.service("kafka"), pytest.mark.service("postgresql")]
MORE = RULES.replace(
    "rules:\n",
    """\
  fortnight:
    title: 近14天泄漏反映
    count: signals
    where: kind == gas.leak
    window: 14d
    exact: true
rules:
  - id: fortnight
    title: 两周内六次以上泄漏反映
    status: active
    basis: [城镇燃气管理条例第四十一条]
    when: fortnight >= 6
    points: 80
    say: "{fortnight}次"
""",
)


def activations(cluster: Cluster) -> list[list[RulesetEntry]]:
    """Return the activations in each partition's log."""
    logs = [cluster.log_of(partition) for partition in range(cluster.settings.kafka.partitions)]
    return [[offer.entry for *_, frame in log for offer in frame.offers if isinstance(offer.entry, RulesetEntry)] for log in logs]


def publish_more(cluster: Cluster) -> None:
    """Put a set with a new indicator in force."""
    (cluster.rules / "gas.yaml").write_text(MORE)
    cluster.activate()


def test_new_indicators_count_from_the_past_on_in_every_partition(make: Make) -> None:
    """Five complaints an object, then a rule that wants six of a fortnight: the sixth is a hit; each partition names its own first record,
    and what was counted beforehand is in the database."""  # noqa: D205, D209  # one sentence
    cluster = make(partitions=3)
    cluster.activate()
    cluster.start()
    cluster.send([leak(number) for number in range(200)], call=20)
    cluster.await_done()
    publish_more(cluster)
    last = [each[-1].prepared for each in activations(cluster)]
    assert [prepared and Place.of(prepared.first) for prepared in last] == [Place(partition, 0, 0) for partition in range(3)]
    with cluster.database.read() as connection:
        kept = set(connection.scalars(select(backfills.c.name)))
    assert kept == {prepared.artifact for prepared in last if prepared is not None}
    cluster.send([leak(number) for number in range(200, 240)], call=20)
    cluster.until(cluster.judged)
    found = cluster.warnings()
    assert found == cluster.replayed()
    assert sum("fortnight" in rules for *_, rules in found) == 40


def test_a_worker_that_finds_nothing_worked_out_comes_to_the_same(make: Make) -> None:
    """The first worker, its snapshots and what was counted beforehand are gone: another one reads the log, and what it judges later is what
    one replay of everything says."""  # noqa: D205, D209  # one sentence
    cluster = make(partitions=2)
    cluster.activate()
    cluster.start("first")
    cluster.send([leak(number) for number in range(200)], call=20)
    cluster.await_done()
    publish_more(cluster)
    cluster.await_done()
    cluster.kill("first")
    with cluster.database.write() as connection:
        connection.execute(delete(backfills))
    cluster.start("second", snapshots=cluster.folder / "others")
    cluster.send([leak(number) for number in range(200, 240)], call=20)
    cluster.until(cluster.judged)
    assert cluster.warnings() == cluster.replayed()
    assert sum("fortnight" in rules for *_, rules in cluster.warnings()) == 40


def test_a_set_may_be_put_in_force_before_any_worker_has_begun(make: Make) -> None:
    """Signals came in before the first rules and before the first worker: they count, since the log has them."""
    cluster = make(partitions=2)
    cluster.send([leak(number) for number in range(160)], call=20)
    cluster.activate()
    cluster.send([leak(number) for number in range(160, 200)], call=20)
    cluster.start()
    cluster.until(cluster.judged)
    found = cluster.warnings()
    assert found == cluster.replayed()
    assert len(found) == 40
