"""Ports: what the core asks of the outside, each as small as it can be.

Adapters live in `storage`, `connectors`, `models` and `app`; each port has one contract suite in `tests/contracts/` over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from domain.base import Noun
from domain.findings import Outcome
from domain.inference import Program
from domain.objects import RegulatedObject
from domain.records import AnyEntry, Record

Counted = TypeVar("Counted")


class Clock(Protocol):
    """What time it is; the only source of `now` outside the core."""

    def now(self) -> datetime:
        """Return the current instant, aware, UTC; never earlier than an instant it returned before."""
        ...


class Offer(Noun, frozen=True, kw_only=True):
    """An entry offered to the journal; `revisable` says whether its feed declares revisions (decision 1).

    `keep` False says that a rejection of it is kept already: where it is refused again it is answered and not written.
    """

    entry: AnyEntry
    revisable: bool = False
    keep: bool = True


class Receipt(Noun, frozen=True, kw_only=True):
    """What became of one offer, in the order of the offers.

    `duplicate` carries the `seq` of the first content. `rejected` means that the record is journalled as a rejection at `seq`, where
    the same rejection of the same input is answered with the `seq` of the first; 0 where it was offered not to be kept.
    """

    status: Literal["accepted", "revision", "duplicate", "rejected"]
    seq: int
    reason: str = ""
    field: str = ""
    message: str = ""


class Intake(Protocol):
    """The one door to the journal."""

    def submit(self, offers: Sequence[Offer]) -> Future[list[Receipt]]:
        """Queue offers, all or none; the future resolves after the disk has them (fdatasync), never before.

        Entries of one call keep their order and are not interleaved with another call's.

        Raises:
            StoreUnavailable: the queue is full or the disk does not take writes; nothing was accepted.
        """
        ...


class JournalReader(Protocol):
    """The journal in order; readable while it is written."""

    def read(self, after: int) -> Iterator[Record]:
        """Yield the synced records with `seq` > `after` in order, up to the head at the time of the call."""
        ...

    def head(self) -> int:
        """Return the `seq` of the last synced record, 0 for an empty journal."""
        ...


class History(Protocol):
    """What came before an activation, for indicators that count from the past on."""

    def records(self, after: int, before: int) -> Iterator[Record]:
        """Yield the records with after < `seq` < before, in order.

        Raises:
            NotFound: some of them were deleted by retention.
        """
        ...

    def artifact(self, name: str) -> Iterator[bytes] | None:
        """Return the parts of a stored back-fill in order, None where it is missing or damaged: it is worked out again then."""
        ...


@runtime_checkable
class SharedHistory(History, Protocol):
    """What came before an activation for several pipelines alike, so that one of them may count back for all."""

    def counted(self, seq: int, about: Hashable, count: Callable[[], Counted]) -> Counted:
        """Return what `count` makes of the records before the activation `seq`, or what another pipeline made that counts the same.

        It is only to be read. Raises what `count` raises.
        """
        ...


class ObjectLookup(Protocol):
    """Candidates from the registry for `connectors.inbound.resolve`."""

    def by_id(self, object_id: str) -> RegulatedObject | None:
        """Return the object of this id."""
        ...

    def by_code(self, code: str) -> Sequence[RegulatedObject]:
        """Return the objects with this code or former code, sorted by id."""
        ...

    def by_name(self, normalised: str) -> Sequence[RegulatedObject]:
        """Return the objects one of whose names or aliases has this normalised form, sorted by id."""
        ...

    def version(self) -> int:
        """Return the registry's version: it grows with every change."""
        ...


class Detector(Protocol):
    """An anomaly detector over one series or one vector space; mutable, behind snapshot and restore.

    Scores are in [0, 1], higher is riskier, calibrated as the tail probability of this series' own history: 0.995 means that
    one point in 200 is as unusual. A detector scores first and learns second.
    """

    def score(self, key: str, at: datetime, values: Sequence[float | None]) -> Score:
        """Score one point of series `key` and learn from it; `values` has the detector's fixed width, None is missing."""
        ...

    def snapshot(self, only: Callable[[str], bool] | None = None) -> bytes:
        """Return the whole state, or that of the series alone whose keys are asked for; the same history gives the same bytes."""
        ...

    def restore(self, state: bytes) -> None:
        """Take up the state of a snapshot; scores go on as if there had been no pause."""
        ...


class PeerComparison(Protocol):
    """Finds those among peers (同类对象) that are unlike the others."""

    def unusual(
        self, vectors: Sequence[Sequence[float | None]], names: Sequence[str], *, learnt: int, above: float
    ) -> list[tuple[int, Score]]:
        """Return the vectors that score above `above`, a score in [0, 1), by their place in `vectors`, in ascending order.

        At most `learnt` vectors, evenly spread, say what is usual; all are scored. `names` are the indicators' titles, None is missing.

        Raises:
            ValueError: a vector is not as long as `names`.
        """
        ...


class VectorDetector(PeerComparison, Protocol):
    """An anomaly detector over the indicator vectors of peers (同类对象); mutable, behind snapshot and restore.

    Scores are in [0, 1], higher is riskier: the share of the peers it was fitted on that are less unusual, so 0.995 means that one
    peer in 200 is as unusual.
    """

    def fit(self, vectors: Sequence[Sequence[float | None]], names: Sequence[str]) -> None:
        """Learn what is usual among `vectors`, replacing what was learnt before; `names` are the indicators' titles, None is missing.

        Raises:
            ValueError: a vector is not as long as `names`.
        """
        ...

    def score(self, vectors: Sequence[Sequence[float | None]]) -> list[Score]:
        """Return one score per vector, in their order; learns nothing.

        Raises:
            ValueError: a vector is not as long as the names given to `fit`.
        """
        ...

    def snapshot(self) -> bytes:
        """Return the whole state; the same fit gives the same bytes."""
        ...

    def restore(self, state: bytes) -> None:
        """Take up the state of a snapshot; scores are the same as before it."""
        ...


class Score(Noun, frozen=True, kw_only=True):
    """A detector's answer: `value` in [0, 1] and the reason in the reader's words, "" while it is still learning."""

    value: float
    reason: str
    expected: float | None = None


class Commit(Protocol):
    """What a runtime does with the pipeline's outcomes; `app.commit` is its only implementation."""

    def __call__(self, records: Sequence[Record], outcomes: Sequence[Outcome]) -> None:
        """Write everything that follows from `records` in one transaction with the applied position.

        The position is the last record's `seq`; records at or below the position already applied change nothing.

        Raises:
            StoreUnavailable: the database does not take writes; call again with the same arguments.
        """
        ...


class Grant(Noun, frozen=True, kw_only=True):
    """The right to write for one partition of a topic, as its assignment gave it; the next assignment has a higher `epoch` and ends it.

    `offset_done` is the offset of the last message whose effects are committed, -1 before the first: consumption goes on at
    `offset_done + 1`, whatever offsets Kafka has of the group.
    """

    topic: str
    partition: int
    epoch: int
    offset_done: int


class Letter(Noun, frozen=True, kw_only=True):
    """A message to be sent once what it follows from is committed: to a partition of the topic `to` of the deployment."""

    to: Literal["frames", "groups", "warnings", "events"]
    partition: int
    body: bytes
    key: bytes = b""


class Message(NamedTuple):
    """What stands in a log at an offset; `appended_at` is the brokers' time."""

    offset: int
    appended_at: datetime
    body: bytes | None


class FrameLog(Protocol):
    """The log of frames, for reading what was."""

    def read(self, partition: int, first: int, last: int) -> Generator[Message]:
        """Yield the messages of a partition from offset `first` to `last`, which is there.

        Raises:
            NotFound: the first of them were deleted by retention.
            StoreUnavailable: the brokers say nothing; read again from where it broke off.
        """
        ...


class Progress(Protocol):
    """How far each partition is, kept beside the effects; `storage.progress.SqlProgress` implements it.

    A runtime calls `assign` for each partition that it is given, before it reads a message of it, and hands the grant to
    `PartitionCommit` with everything it commits:

        grant = progress.assign("signals", 3, owner="worker-1:4711")
        consumer.seek(TopicPartition("signals", 3), grant.offset_done + 1)
        for message in consumer:
            ...
            grant = commit(grant, message.offset, records, outcomes)
    """

    def assign(self, topic: str, partition: int, owner: str, still: Callable[[], bool] = lambda: True) -> Grant:
        """Take a partition over and return the grant; it waits for a transaction of the owner before, whose effects it then counts.

        `still` is asked after that: whether the partition is still to be taken over.

        Raises:
            Fenced: `still` says no; nobody is fenced.
            StoreUnavailable: the database does not take it; assign again.
        """
        ...

    def standing(self, topic: str, partition: int) -> Grant | None:
        """Return the newest grant of a partition and how far it is, whoever has it; None before the first assignment.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        ...


class PartitionCommit(Protocol):
    """What a runtime does with the outcomes of one partition; `app.commit.PartitionedCommit` implements it."""

    def __call__(
        self, grant: Grant, upto: int, records: Sequence[Record], outcomes: Sequence[Outcome], letters: Sequence[Letter] = ()
    ) -> Grant:
        """Write what follows from the messages up to offset `upto`, in one transaction with `offset_done`; return the grant as it is then.

        `records` are those of the messages behind `grant.offset_done`, in order, and may be empty: the offset moves all the same.
        `letters` are kept with them until they are sent. Where `upto` is done already nothing is written.

        Raises:
            Fenced: the partition is somebody else's by now; nothing was written. Drop its state, commit nothing more for it.
            Conflict: some of the messages are done already, since a call that seemed to fail went through and this one has another end;
                go on behind what `Progress.standing` says.
            StoreUnavailable: call again with the same arguments: if the first call was committed after all, the second changes nothing.
        """
        ...


class Inference(Protocol):
    """What follows from the findings of one object: forward chaining over facts."""

    def infer(self, program: Program, facts: frozenset[str]) -> tuple[str, ...]:
        """Return the ids of the productions that are concluded from `facts`, in the order of the program.

        The answer is the same whoever gives it; it never fails: an engine that cannot answer has somebody stand in for it.
        """
        ...
