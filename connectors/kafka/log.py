"""The log of frames for those who read again what was: a consumer of its own, without a group, from one offset to another."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from typing import Final

from kafka import KafkaConsumer, TopicPartition

from connectors.kafka.access import Access
from connectors.kafka.diagnosis import diagnose
from connectors.kafka.topics import told_plainly
from domain.errors import NotFound, StoreUnavailable
from domain.messages import both
from domain.ports import Message

POLL_MS: Final = 1_000
SILENT_SECONDS: Final = 30.0  # for which the brokers may give nothing of what they have


class KafkaFrames:
    """`domain.ports.FrameLog`; several may read at once."""

    def __init__(self, access: Access, topic: str) -> None:
        """Connect with the first question."""
        self._access = access
        self._topic = topic

    def bounds(self, partition: int) -> tuple[int, int]:
        """Return the offset of the first message that is kept, and that of the next one to come; raises StoreUnavailable."""
        return self.bounds_of([partition])[partition]

    def bounds_of(self, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Return the same of several partitions; raises StoreUnavailable."""
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        with told_plainly(self._access), contextlib.closing(self._consumer()) as reader:
            first, end = reader.beginning_offsets(places), reader.end_offsets(places)
        return {place.partition: (int(first[place]), int(end[place])) for place in places}

    def behind(self, at: datetime, partitions: Iterable[int]) -> dict[int, int]:
        """Return the first offset of each partition that the brokers took at the instant `at` or later.

        A partition without any such message is left out. Raises StoreUnavailable.
        """
        moment = int(at.timestamp() * 1000)
        asked = {TopicPartition(self._topic, partition): moment for partition in partitions}
        with told_plainly(self._access), contextlib.closing(self._consumer()) as reader:
            found = reader.offsets_for_times(asked)
        return {place.partition: int(each.offset) for place, each in found.items() if each is not None}

    def read(self, partition: int, first: int, last: int) -> Generator[Message]:
        """Yield the messages from offset `first` to `last`, which is there.

        Raises:
            NotFound: the first of them were deleted by retention.
            StoreUnavailable: the brokers say nothing; read again from where it broke off.
        """
        place = TopicPartition(self._topic, partition)
        with told_plainly(self._access), self._reader() as reader:
            reader.assign([place])
            kept = int(reader.beginning_offsets([place])[place])
            if kept > first:
                raise NotFound(both("kafka.log_cut", topic=self._topic, partition=partition, first=first, kept=kept))
            reader.seek(place, first)
            heard = time.monotonic()
            while first <= last:
                for message in reader.poll(POLL_MS).get(place, []):
                    if message.offset > last:
                        return
                    yield Message(message.offset, datetime.fromtimestamp(message.timestamp / 1000, UTC), message.value)
                    first, heard = message.offset + 1, time.monotonic()
                if time.monotonic() - heard > SILENT_SECONDS:
                    raise StoreUnavailable(diagnose(self._access))

    def _reader(self) -> contextlib.AbstractContextManager[KafkaConsumer]:
        return contextlib.closing(self._consumer())

    def _consumer(self) -> KafkaConsumer:
        return KafkaConsumer(
            **self._access.admin_options(), client_id="fengsui-past", enable_auto_commit=False, auto_offset_reset="none", check_crcs=True
        )


class KafkaTail(KafkaFrames):
    """The same for one reader who comes again every second: its connections stay open until something goes wrong with them."""

    def __init__(self, access: Access, topic: str) -> None:
        """Connect with the first question."""
        super().__init__(access, topic)
        self._open: KafkaConsumer | None = None

    @contextlib.contextmanager
    def _reader(self) -> Generator[KafkaConsumer]:
        reader, self._open = self._open or self._consumer(), None
        try:
            yield reader
            self._open = reader
        finally:
            if self._open is None:
                reader.close()
