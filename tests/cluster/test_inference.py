"""Inferences in a cluster: durable-rules checks what the workers conclude, and no child of theirs is ever waited for."""

from __future__ import annotations

import os
import signal
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.kafka.local import free_port
from domain.objects import Relation, Resolution
from domain.records import ObjectsEntry, SignalEntry
from tests.cluster.test_areas import GROUPS
from tests.cluster.world import PATIENCE, RULES, Cluster, Make
from tests.factories import at, make_entry, make_object

pytestmark = [pytest.mark.service("kafka"), pytest.mark.service("postgresql"), pytest.mark.service("durable-rules")]
WAVE = 20  # objects; each has findings unlike those of any other
LABELS = 7
INFERENCES = "inferences:\n" + "".join(
    f"""\
  - id: bit-{bit}
    title: 第{bit}位
    status: active
    basis: [城镇燃气管理条例第四十一条]
    when: leaks and 'bit-{bit}' in object.labels{f" and not bit-{bit - 1}" if bit else ""}
    say: 有这一位，前一位没有得出
"""
    for bit in range(LABELS)
)


def _things(waves: int) -> ObjectsEntry:
    """Return objects whose labels are the binary digits of their numbers; all under one parent."""
    objects = (
        make_object(
            id=f"obj-{number:03d}",
            region="610113",
            labels=tuple(f"bit-{bit}" for bit in range(LABELS) if number >> bit & 1),
            relations=(Relation(kind="parent", object_id="top"),),
        )
        for number in range(waves * WAVE)
    )
    return ObjectsEntry(version=1, objects=tuple(objects))


def _wave(which: int) -> list[SignalEntry]:
    """Return three complaints about each object of a wave: what makes the rule stand."""
    return [
        make_entry(
            id=f"s-{number}-{turn}",
            resolution=Resolution(object_id=f"obj-{number:03d}", method="id", confidence=1.0),
            occurred_at=at(which + turn / 10),
        )
        for turn in range(3)
        for number in range(which * WAVE, (which + 1) * WAVE)
    ]


def _children(worker: int) -> Iterator[int]:
    """Yield the processes of a worker in which durable-rules runs."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # gone meanwhile
            if int(status.read_text().rpartition(")")[2].split()[1]) == worker:
                command = status.with_name("cmdline").read_bytes()
                if b"streams.runtimes.durable_child" in command:
                    yield int(status.parent.name)


def _stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _alive(process: int) -> bool:
    """Tell whether a process is there, and not only its entry until somebody asks how it ended."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def _metrics(port: int) -> dict[str, float]:
    """Return what the worker tells of its inferences."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    told = {one.name + "".join(one.labels.values()): one.value for family in families for one in family.samples}
    return {name.removeprefix("fengsui_inference_"): value for name, value in told.items() if name.startswith("fengsui_inference")}


def _same(cluster: Cluster) -> None:
    assert cluster.warnings() == cluster.replayed()
    assert cluster.inferred() == {each.id: [one.id for one in each.inferred] for each in cluster.replayed_warnings()}


def test_a_child_that_hangs_or_is_killed_holds_up_no_partition(make: Make) -> None:
    """Under load it is stopped, later killed: all is judged and committed while it hangs, a new child takes over, all answers are right."""
    cluster, port = make(partitions=2, rules=RULES + INFERENCES), free_port()
    cluster.activate()
    cluster.send([_things(4)])
    worker = cluster.start(metrics_port=port)
    cluster.send(_wave(0), call=10)
    cluster.await_done()
    cluster.until(lambda: _metrics(port).get("compared_totalagreed", 0) >= WAVE)
    [child] = _children(worker.pid)

    os.kill(child, signal.SIGSTOP)
    checked = _metrics(port)["compared_totalagreed"]
    cluster.send(_wave(1), call=10)
    cluster.await_done()
    assert len(cluster.warnings()) == 2 * WAVE
    told = _metrics(port)
    assert _stopped(child), "everything was committed while the child hung"
    assert told["compared_totalagreed"] == checked

    cluster.send(_wave(2), call=5)
    os.kill(child, signal.SIGKILL)
    cluster.send(_wave(3), call=5)
    cluster.await_done()
    cluster.until(lambda: _metrics(port)["compared_totalagreed"] >= 4 * WAVE)
    [successor] = _children(worker.pid)
    assert successor != child
    told = _metrics(port)
    assert told["stand_in"] == 0
    assert {name for name in told if name.startswith("compared_total")} == {"compared_totalagreed"}
    assert len(cluster.warnings()) == 4 * WAVE
    assert {len(each) for each in cluster.inferred().values()} >= {0, 1, 2, 3}
    _same(cluster)
    assert cluster.kill("one", signal.SIGTERM) == 0
    assert not _alive(successor)


def test_partitions_of_groups_are_checked_too(make: Make) -> None:
    """Where a sector is judged in partitions of groups its inferences are, and durable-rules is asked there; a worker leaves no child."""
    cluster, port = make(partitions=2, rules=GROUPS + INFERENCES), free_port()
    cluster.activate()
    cluster.send([_things(1)])
    worker = cluster.start(metrics_port=port)
    cluster.send(_wave(0), call=10)
    cluster.until(cluster.judged)
    assert any(cluster.inferred().values())
    cluster.until(lambda: _metrics(port).get("compared_totalagreed", 0) > 0)
    told = _metrics(port)
    assert told["stand_in"] == 0
    assert {name for name in told if name.startswith("compared_total")} == {"compared_totalagreed"}
    _same(cluster)
    [child] = _children(worker.pid)
    cluster.kill()
    cluster.until(lambda: not _alive(child))
