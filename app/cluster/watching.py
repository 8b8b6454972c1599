"""What a worker tells of its partitions: a file for health checks, and metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from app.cluster.role import tell
from app.metrics import Metrics, Sample
from domain.findings import Outcome
from domain.messages import both
from domain.partitions import Place
from domain.ports import Clock, Grant, Letter, PartitionCommit
from domain.records import Record, RejectionEntry, SignalEntry
from storage.admission import JUDGED
from streams.runtimes.faust_worker import Slot
from streams.runtimes.group_partitions import GroupPartition
from streams.runtimes.partitions import Partition
from streams.runtimes.standbys import Told

SILENT_SECONDS: Final = 15.0  # without a look, which is every second


def _none() -> Told:
    return Told(0, (), 0.0)


class Telling:
    """Keeps what the worker's loop saw last, for whoever scrapes; `partitions` is how many the workers hold between them."""

    def __init__(self, file: Path, metrics: Metrics, clock: Clock, partitions: int, standbys: Callable[[], Told] = _none) -> None:
        """Write to `file`, and let the metrics have the samples."""
        self._standbys = standbys
        self._file = file
        self._metrics = metrics
        self._clock = clock
        self._count = partitions
        self._samples: tuple[Sample, ...] = ()
        self._looked = 0.0  # on the monotonic clock; 0 is not yet
        self._busy = ""
        self.lacking = ""
        metrics.sources.append(lambda: self._samples)

    def look(self, partitions: Mapping[Slot, Partition], ends: Mapping[Slot, int]) -> None:
        """Tell where each partition stands; `ends` are the offsets that the next messages will have."""
        frames = {slot: held for slot, held in sorted(partitions.items()) if not isinstance(held, GroupPartition)}
        groups = {slot: held for slot, held in sorted(partitions.items()) if isinstance(held, GroupPartition)}
        told = {
            "partitions": {str(slot.partition): _standing(held, ends.get(slot, 0)) for slot, held in frames.items()},
            "groups": {
                str(slot.partition): _standing(held, ends.get(slot, 0)) | {"records_waiting": None if _rereads(held) else held.waits}
                for slot, held in groups.items()
            },
        }
        standing_by = self._standbys()
        warm = [f"{topic}/{partition}" for topic, partition in standing_by.warm]
        tell(self._file, self._clock, told | {"standbys": {"wanted": standing_by.wanted, "warm": warm}})
        self._samples = (
            Sample("fengsui_partitions", self._count),
            Sample("fengsui_standbys_wanted", standing_by.wanted),
            Sample("fengsui_standbys_warm", len(warm)),
            Sample("fengsui_standby_age_seconds", standing_by.age),
            *_samples(partitions, ends),
        )

        self._say(partitions, ends)

    def _say(self, partitions: Mapping[Slot, Partition], ends: Mapping[Slot, int]) -> None:
        """Keep in words how the partitions stand."""
        rereading = [_label(slot, held) for slot, held in sorted(partitions.items()) if _rereads(held)]
        counting = [_label(slot, held) for slot, held in sorted(partitions.items()) if held.counting_back]
        told = {"worker.rereading": rereading, "worker.counting_back": counting}
        self._busy = "; ".join(both(key, partitions=", ".join(names)) for key, names in told.items() if names)
        lag = sum(_lag(held, ends.get(slot, 0)) for slot, held in partitions.items())
        behind = both("worker.behind", frames=lag) if lag else ""
        self.lacking = behind if partitions else both("worker.no_partition")
        self._looked = time.monotonic()

    def unready(self) -> str:
        """Return why partitions of this worker are not judged, "" while they are."""
        since = time.monotonic() - self._looked if self._looked else None
        if since is None:
            return both("worker.starting")
        return both("worker.no_look", seconds=f"{since:.0f}") if since > SILENT_SECONDS else self._busy

    def set_aside(self, seq: int) -> None:
        """Count a record that brought the engine down twice, or a message that is no frame."""
        self._metrics.loop_errors.labels(loop="quarantine").inc()
        self._metrics.set_aside.labels(partition=str(Place.of(seq).partition)).inc()


def _standing(held: Partition, end: int) -> dict[str, object]:
    return {
        "epoch": held.grant.epoch,
        "offset_done": _done(held),
        "lag": _lag(held, end),
        "ruleset": held.pipeline.ruleset.version,
        "counting_back": held.counting_back,
        "warming": {rule: at for rule, at in sorted(held.pipeline.complete_from().items()) if at > held.pipeline.now},
        "rereading": _rereads(held),
        "waiting": held.waiting,
        "quarantined": held.quarantined(),
    }


def _rereads(held: Partition) -> bool:
    """Tell whether a partition that was taken over is not yet where it was committed: what it holds is that of an earlier moment."""
    return held.next_offset <= held.grant.offset_done


def _done(held: Partition) -> int:
    """Return the offset of the last frame that is known to be committed; the grant hears of it only with the next one."""
    return max(held.grant.offset_done, held.settled_offset - 1)


def _lag(held: Partition, end: int) -> int:
    """Return how many frames of the topic are not committed."""
    return max(0, end - 1 - _done(held))


def _label(slot: Slot, held: Partition) -> str:
    return f"groups-{slot.partition}" if isinstance(held, GroupPartition) else str(slot.partition)


def _samples(partitions: Mapping[Slot, Partition], ends: Mapping[Slot, int]) -> Iterator[Sample]:
    for slot, held in sorted(partitions.items()):
        label = (_label(slot, held),)
        yield Sample("fengsui_partition_offset_done", _done(held), label)
        yield Sample("fengsui_partition_epoch", held.grant.epoch, label)
        yield Sample("fengsui_partition_lag_frames", _lag(held, ends.get(slot, 0)), label)
        yield Sample("fengsui_partition_quarantined_records", len(held.quarantined()), label)
        yield Sample("fengsui_partition_waiting", float(bool(held.waiting)), (*label, "database"))


def measured(commit: PartitionCommit, metrics: Metrics, topic: str) -> PartitionCommit:
    """Return `commit` with its seconds counted, and frames and signals of `topic` (areas are told of them again); failures do not count.

    What an edge has counted as accepted and is judged a revision here, or a rejection, is counted as that.
    """

    def counting(grant: Grant, upto: int, records: Sequence[Record], outcomes: Sequence[Outcome], letters: Sequence[Letter] = ()) -> Grant:
        began = time.perf_counter()
        after = commit(grant, upto, records, outcomes, letters)
        metrics.commit_seconds.observe(time.perf_counter() - began)
        if grant.topic == topic:
            metrics.frames.inc(upto - grant.offset_done)
            metrics.signals.inc(sum(1 for record in records if isinstance(record.entry, SignalEntry)))
            for record in records:
                entry = record.entry
                if isinstance(entry, SignalEntry) and entry.revision:
                    metrics.records.labels(feed=entry.feed, outcome="revision").inc()
                elif isinstance(entry, RejectionEntry) and entry.reason in JUDGED:
                    metrics.records.labels(feed=entry.feed, outcome="rejected").inc()
        return after

    return counting
