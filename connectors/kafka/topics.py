"""The topics on the brokers: read, made, mended, never deleted (kafka-python's admin client).

The mark in the control topic says with how many partitions, which hash and which placement the deployment began: with another number the
state of an object, or of a sector, would be split between two partitions, silently.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Self

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, KafkaAdminClient, NewTopic, OffsetSpec
from kafka.errors import KafkaError

from connectors.kafka.access import Access
from connectors.kafka.diagnosis import diagnose, unreachable
from connectors.kafka.layout import NAMES, Difference, Layout, Mark, Topic, differences, moves, to_mend
from domain.errors import StoreUnavailable
from domain.messages import both
from domain.partitions import HASH, PLACEMENT

BOOTSTRAP_MS: Final = 5_000
REQUEST_MS: Final = 20_000
READ_MS: Final = 5_000
MARK_KEY: Final = b"layout"
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Mark)


@contextmanager
def told_plainly(access: Access) -> Iterator[None]:
    """Turn an error of Kafka's client into one that says what, where and what to do.

    Raises:
        StoreUnavailable: instead of any KafkaError.
    """
    try:
        yield
    except KafkaError as error:
        name = type(error).__name__
        if name in {"KafkaTimeoutError", "NoBrokersAvailable", "KafkaConnectionError"}:
            raise StoreUnavailable(diagnose(access)) from error
        raise StoreUnavailable(both("kafka.refused", address=access.bootstrap, error=_short(error))) from error


def open_admin(access: Access, client_id: str) -> KafkaAdminClient:
    """Return a client that is connected.

    Where nobody listens that is said at once: Kafka's client would wait for somebody to come.

    Raises:
        StoreUnavailable: the brokers cannot be reached or do not let us in.
    """
    options = access.admin_options()
    if away := unreachable(access):
        raise StoreUnavailable(away)
    with told_plainly(access):
        return KafkaAdminClient(**options, client_id=client_id, bootstrap_timeout_ms=BOOTSTRAP_MS, request_timeout_ms=REQUEST_MS)


def _short(error: KafkaError) -> str:
    """Return what the broker said of a request, without the request."""
    text = str(error)
    _, found, said = text.partition("error_message=")
    return f"{type(error).__name__}: {said.split(',')[0].strip(chr(34) + chr(39)) if found else text[:200]}"


class Topics:
    """The topics of one deployment; a context manager, since it holds a connection."""

    def __init__(self, access: Access, layout: Layout) -> None:
        """Connect.

        Raises:
            StoreUnavailable: the brokers cannot be reached or do not let us in.
        """
        self._access = access
        self._layout = layout
        self._admin = open_admin(access, "fengsui-topics")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._admin.close()

    def found(self) -> dict[str, Topic]:
        """Return those of our topics that are there; raises StoreUnavailable."""
        names = [self._layout.topic(name) for name in NAMES]
        with told_plainly(self._access):
            there = {one["name"]: one["partitions"] for one in self._admin.describe_topics(names) if not one["error_code"]}
            if not there:
                return {}
            configs = self._admin.describe_configs([ConfigResource("topic", name) for name in there], config_filter="all")["topic"]
        return {
            name: Topic(
                partitions=len(partitions),
                replicas=min(len(one["replica_nodes"]) for one in partitions),
                config={key: str(one["value"]) for key, one in configs[name].items()},
            )
            for name, partitions in there.items()
        }

    def written(self) -> int:
        """Return how many messages the topic of frames has had; raises StoreUnavailable."""
        name = self._layout.topic("frames")
        asked = {TopicPartition(name, number): OffsetSpec.LATEST for number in range(self._layout.partitions)}
        with told_plainly(self._access):
            ends = self._admin.list_partition_offsets(asked)
        return sum(int(end.offset) for end in ends.values())

    def mark(self, found: Mapping[str, Topic]) -> Mark | None:
        """Return what was written down last, None where nothing was; raises StoreUnavailable."""
        written: Mark | None = None
        control = self._layout.topic("control")
        if control not in found:
            return None
        with (
            told_plainly(self._access),
            contextlib.closing(
                KafkaConsumer(**self._access.admin_options(), consumer_timeout_ms=READ_MS, enable_auto_commit=False)
            ) as reader,
        ):
            partition = TopicPartition(control, 0)
            reader.assign([partition])
            reader.seek_to_beginning(partition)
            end = reader.end_offsets([partition])[partition]
            while reader.position(partition) < end:
                for message in reader:
                    if message.key == MARK_KEY:
                        with contextlib.suppress(msgspec.MsgspecError):  # a foreign message: it marks nothing
                            written = _decoder.decode(message.value)
                    if message.offset + 1 >= end:
                        break
        return written

    def differences(self) -> list[Difference]:
        """Return everything that is wrong; raises StoreUnavailable."""
        found = self.found()
        mark, control = self.mark(found), self._layout.topic("control")
        unused = mark is not None and moves(self._layout, mark) and self._layout.topic("frames") in found and not self.written()
        wrong = differences(self._layout, found, mark, unused=unused)
        if mark is None and {self._layout.topic("frames"), control} <= found.keys():
            wrong.append(Difference(control, both("topics.no_mark"), mendable=True))
        return wrong

    def apply(self, *, same_placement: bool = False) -> list[str]:
        """Make what is missing, mend what can be mended without loss; return what was done, in words.

        `same_placement` is the operator's word that this version judges every sector where the deployment did before.

        Raises:
            StoreUnavailable: something is wrong that cannot be mended (nothing was done then), or the brokers refused.
        """
        wrong = self.differences()
        hopeless = [one for one in wrong if not (one.mendable or (one.placement and same_placement))]
        if hopeless:
            raise StoreUnavailable("\n".join(f"{one.topic}: {one.what}" for one in hopeless))
        done: list[str] = []
        with told_plainly(self._access):
            for name in NAMES:
                topic = self._layout.topic(name)
                if any(one.missing and one.topic == topic for one in wrong):
                    partitions, replicas = self._layout.partitions_of(name), self._layout.replicas
                    self._admin.create_topics([NewTopic(topic, partitions, replicas, topic_configs=self._layout.config(name))])
                    done.append(f"{topic}: {both('topics.made', partitions=partitions, replicas=replicas)}")
            for topic, settings in to_mend(wrong).items():
                self._admin.alter_configs([ConfigResource("topic", topic, configs=settings)])
                done += [f"{topic}: {key}={value}" for key, value in settings.items()]
        if any(one.placement for one in wrong) or self.mark(self.found()) is None:
            self._write_mark()
            told = both("topics.marked", partitions=self._layout.partitions, hash=HASH, placement=PLACEMENT)
            done.append(f"{self._layout.topic('control')}: {told}")
        return done

    def _write_mark(self) -> None:
        with told_plainly(self._access), contextlib.closing(KafkaProducer(**self._access.admin_options(), acks="all")) as producer:
            mark = _encoder.encode(Mark(partitions=self._layout.partitions, placement=PLACEMENT))
            producer.send(self._layout.topic("control"), key=MARK_KEY, value=mark, partition=0).get(timeout=REQUEST_MS / 1000)
