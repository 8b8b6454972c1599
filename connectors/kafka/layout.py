"""Which topics Fengsui needs, and what is wrong with those that are there: decisions without a connection.

Frames, groups and control records are the log that risk state is made of: nothing of them may be deleted or compacted away below a
position that a replay may start from. Warnings and events are copies of what the database holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from domain.messages import both
from domain.partitions import HASH, MOST_PARTITIONS, PLACEMENT

Name = Literal["frames", "groups", "control", "warnings", "events"]
NAMES: Final[tuple[Name, ...]] = ("frames", "groups", "control", "warnings", "events")
LOG: Final[frozenset[Name]] = frozenset({"frames", "groups", "control"})
FOR_GOOD: Final = -1
MESSAGE_BYTES: Final = 40 * 1024 * 1024  # one record may have 32 MiB
OUTPUT_RETENTION: Final = 7 * 86_400_000  # milliseconds that warnings and events stay readable, where nobody says otherwise


@dataclass(frozen=True, slots=True)
class Layout:
    """What the topics of one deployment have to be; `retention_days` 0 keeps the log for good.

    `partitions` are those of frames, groups and outputs; `replicas` and `min_insync` those of all topics.
    """

    prefix: str = "fengsui"
    partitions: int = 24
    replicas: int = 3
    min_insync: int = 2
    retention_days: float = 0.0
    reduced_durability: bool = False

    def topic(self, name: Name) -> str:
        """Return the topic's full name."""
        return f"{self.prefix}.{name}"

    def partitions_of(self, name: Name) -> int:
        """Return how many partitions a topic has; control records are one sequence."""
        return 1 if name == "control" else self.partitions

    def logs(self) -> set[str]:
        """Return the full names of the topics that risk state is made of."""
        return {self.topic(name) for name in LOG}

    @property
    def log_retention(self) -> int:
        """Milliseconds that the log is kept, `FOR_GOOD` where nothing of it is deleted."""
        return round(self.retention_days * 86_400_000) if self.retention_days else FOR_GOOD

    def config(self, name: Name) -> dict[str, str]:
        """Return the settings that a topic is made with."""
        kept = {"retention.ms": str(self.log_retention if name in LOG else OUTPUT_RETENTION), "retention.bytes": str(FOR_GOOD)}
        return kept | {
            "cleanup.policy": "delete",
            "max.message.bytes": str(MESSAGE_BYTES),
            "min.insync.replicas": str(min(self.min_insync, self.replicas)),
            "message.timestamp.type": "LogAppendTime",  # an edge whose clock is wrong is noticed by the brokers' own time
            "unclean.leader.election.enable": "false",
        }


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the brokers have it; `replicas` of the partition that has fewest."""

    partitions: int
    replicas: int
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """What was written down when the topics were made: what no later setting or version may change.

    `placement` 0 is that of a version which did not write it down.
    """

    partitions: int
    hash: str = HASH
    placement: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it has to be; `mendable` says that `topics apply` can do it without loss."""

    topic: str
    what: str
    mendable: bool
    missing: bool = False
    placement: bool = False
    settings: tuple[tuple[str, str], ...] = ()


def differences(layout: Layout, found: Mapping[str, Topic], mark: Mark | None, *, unused: bool = False) -> list[Difference]:
    """Return everything that is wrong, in the order of `NAMES`; nothing for topics that can be used.

    `unused` says that the topic of frames never had a message: nothing is placed anywhere yet.
    """
    wrong = _of_layout(layout)
    if mark is not None and (mark.partitions, mark.hash) != (layout.partitions, HASH):
        known = f"{mark.partitions}/{mark.hash}"
        told = both("topics.mark", found=known, wanted=f"{layout.partitions}/{HASH}", prefix=layout.prefix)
        wrong.append(Difference(layout.prefix, told, mendable=False))
    if mark is not None and moves(layout, mark):
        told = both("topics.unplaced") if unused else both("topics.placement", found=mark.placement or "?", wanted=PLACEMENT)
        wrong.append(Difference(layout.topic("control"), told, mendable=unused, placement=True))
    for name in NAMES:
        topic = layout.topic(name)
        there = found.get(topic)
        if there is None:
            wrong.append(Difference(topic, both("topics.missing"), mendable=True, missing=True))
            continue
        wrong += _of_topic(layout, name, there)
    return wrong


def moves(layout: Layout, mark: Mark) -> bool:
    """Tell whether this version judges sectors by other partitions than the one that made the topics, as far as that is known."""
    return layout.partitions > 1 and mark.placement != PLACEMENT


def _of_layout(layout: Layout) -> list[Difference]:
    """Return what is wrong with the settings themselves."""
    wrong = []
    if not 1 <= layout.partitions <= MOST_PARTITIONS:
        wrong.append(both("topics.too_many_partitions", value=layout.partitions, most=MOST_PARTITIONS))
    if not layout.reduced_durability and (layout.replicas < 3 or layout.min_insync < 2):
        wrong.append(both("topics.settings_durability", replicas=layout.replicas, min_insync=layout.min_insync))
    return [Difference(layout.prefix, told, mendable=False) for told in wrong]


def _of_topic(layout: Layout, name: Name, there: Topic) -> list[Difference]:
    topic, wrong = layout.topic(name), []
    wanted = layout.partitions_of(name)
    if there.partitions != wanted:
        told = both("topics.partitions", found=there.partitions, wanted=wanted)
        wrong.append(Difference(topic, told, mendable=False))
    least = 1 if layout.reduced_durability else 3
    if there.replicas < min(least, layout.replicas) or (there.replicas < 3 and not layout.reduced_durability):
        wrong.append(Difference(topic, both("topics.replicas", found=there.replicas, wanted=max(least, layout.replicas)), mendable=False))
    return wrong + _of_config(layout, name, there)


def _of_config(layout: Layout, name: Name, there: Topic) -> list[Difference]:
    """Return the settings of a topic that would lose what it holds."""
    wanted, topic = layout.config(name), layout.topic(name)
    wrong: list[Difference] = []

    def differs(key: str, told: str) -> None:
        wrong.append(Difference(topic, told, mendable=True, settings=((key, wanted[key]),)))

    given = {key: there.config.get(key, value) for key, value in wanted.items()}
    if name in LOG:
        if "compact" in given["cleanup.policy"]:
            differs("cleanup.policy", both("topics.compacted", value=given["cleanup.policy"]))
        for key, least in (("retention.ms", layout.log_retention), ("retention.bytes", FOR_GOOD)):
            if shorter(int(given[key]), least):
                differs(key, both("topics.retention", key=key, value=given[key], wanted=wanted[key]))
    in_sync = int(given["min.insync.replicas"])
    if in_sync < min(2, there.replicas) and not layout.reduced_durability:
        differs("min.insync.replicas", both("topics.min_insync", value=in_sync, wanted=wanted["min.insync.replicas"]))
    if in_sync > there.replicas:
        told = both("topics.never_in_sync", value=in_sync, replicas=there.replicas)
        mendable = int(wanted["min.insync.replicas"]) <= there.replicas
        settings = (("min.insync.replicas", wanted["min.insync.replicas"]),) if mendable else ()
        wrong.append(Difference(topic, told, mendable=mendable, settings=settings))
    if given["unclean.leader.election.enable"] != "false":
        differs("unclean.leader.election.enable", both("topics.unclean"))
    if name == "frames" and given["message.timestamp.type"] != "LogAppendTime":
        differs("message.timestamp.type", both("topics.timestamps"))
    if int(given["max.message.bytes"]) < MESSAGE_BYTES:
        differs("max.message.bytes", both("topics.message_bytes", value=given["max.message.bytes"], wanted=MESSAGE_BYTES))
    return wrong


def shorter(kept: int, least: int) -> bool:
    """Tell whether `kept` (ms or bytes, -1 for good) is less than `least`.

    >>> shorter(604800000, -1), shorter(-1, -1), shorter(-1, 1000), shorter(500, 1000)
    (True, False, False, True)
    """
    return kept != FOR_GOOD and (least == FOR_GOOD or kept < least)


def to_mend(wrong: Sequence[Difference]) -> dict[str, dict[str, str]]:
    """Return the settings to change, by topic."""
    found: dict[str, dict[str, str]] = {}
    for one in wrong:
        if one.settings:
            found.setdefault(one.topic, {}).update(one.settings)
    return found
