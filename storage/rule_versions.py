"""Versions of the rule set: which there are, which a person went back to, and which wait for a second person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from domain.base import Noun
from domain.errors import NotFound, Problem
from domain.messages import both
from domain.partitions import OF_A_PARTITION
from domain.records import RulesetEntry
from storage import audit, risk
from storage.dialects import take_turns, upsert
from storage.tables import activations, meta, rule_candidates, rulesets

CHAIN = "rules"  # the hash chain of what people decided about rule sets
_PIN = "rules_pin"
_FAILING = "rules_failing"
_REFUSED = "rules_refused"
_SENT = "rules_sent"
_ORDER = "rules_order"
State = Literal["pending", "approved", "refused", "replaced"]


class Version(Noun, frozen=True, kw_only=True):
    """A stored set; `times` is how often it was activated, the other fields are about the last time.

    `reason` is why a person went back to it then, "" where nobody did or said.
    """

    version: str
    activated_at: datetime | None
    activated_seq: int | None
    by: str
    times: int
    reason: str = ""


class Candidate(Noun, frozen=True, kw_only=True):
    """A sound set that was found at `found_at`; `author` "" is nobody known here: whoever approves it first stands for it.

    `report` holds numbers of rules, indicators and tests, the tests that failed, and what the check remarks.
    """

    version: str
    author: str
    found_at: datetime
    state: State
    decided_by: str = ""
    decided_at: datetime | None = None
    reason: str = ""
    report: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Pin(Noun, frozen=True, kw_only=True):
    """A person went back to `version`; it holds for as long as the rules folder is as it was then.

    `over` is what the folder held; in a cluster, what was in force then, which is what was published of it.
    """

    version: str
    over: str
    by: str
    at: datetime
    reason: str


class Sent(Noun, frozen=True, kw_only=True):
    """The newest set of a cluster that was sent to the partitions: `each` is what they are told, one for all or one for each of them.

    It is kept before the first is told; `whole` says that all have been.
    """

    control: RulesetEntry
    each: tuple[RulesetEntry, ...]
    whole: bool = False


class Order(Noun, frozen=True, kw_only=True):
    """What somebody decided at an api of a cluster, until every partition was told: whichever api runs then sees to it.

    `seen` is when the api whose child works on it said so last, `told` how far that is, in both languages. `deaths` counts children that
    ended without an answer. With `problems` nobody goes on with it.
    """

    version: str
    by: str
    at: datetime
    seen: datetime
    told: str = ""
    deaths: int = 0
    problems: tuple[Problem, ...] = ()


def versions(connection: Connection) -> list[Version]:
    """Return the sets that were ever active, the last activated first."""
    log = activations.c.seq // OF_A_PARTITION  # each partition of a cluster has the activation once
    each = select(activations.c.version, func.count().label("times")).group_by(activations.c.version, log).subquery()
    times = select(each.c.version, func.max(each.c.times).label("times")).group_by(each.c.version).subquery()
    rows = connection.execute(
        select(rulesets, times.c.times)
        .join(times, times.c.version == rulesets.c.version, isouter=True)
        .where(rulesets.c.activated_seq.is_not(None))
        .order_by(rulesets.c.activated_at.desc(), rulesets.c.activated_seq.desc())
    )
    reasons = _reasons(connection)
    return [
        Version(
            version=row.version,
            activated_at=row.activated_at,
            activated_seq=row.activated_seq,
            by=row.by,
            times=row.times or 1,
            reason=reasons.get((row.version, row.activated_seq), ""),
        )
        for row in rows
    ]


def activated(connection: Connection, beginning: str) -> str:
    """Return the version that begins so among those that were ever active; raises NotFound where that is not exactly one."""
    known = [each.version for each in versions(connection) if beginning and each.version.startswith(beginning)]
    if len(known) != 1:
        raise NotFound(both("store.which_version", version=beginning, count=len(known)))
    return known[0]


def _reasons(connection: Connection) -> dict[tuple[str, int], str]:
    """Return why people went back, by version and the activation that followed: the first of that version by a person since.

    In a cluster it is that of the partition that the set was activated in last: numbers of two partitions tell no order.
    """
    found: dict[tuple[str, int], str] = {}
    logs = {
        row.version: row.log
        for row in connection.execute(select(rulesets.c.version, (rulesets.c.activated_seq // OF_A_PARTITION).label("log")))
    }
    for entry in audit.trail(connection, CHAIN):
        if entry.what == "rules_rolled_back":
            said = msgspec.json.decode(entry.detail)
            log = activations.c.seq // OF_A_PARTITION == logs.get(said["version"])
            since = (log, activations.c.version == said["version"], activations.c.at >= entry.at, activations.c.by != "system")
            seq = connection.scalar(select(func.min(activations.c.seq)).where(*since))
            if seq is not None:
                found[said["version"], seq] = said["reason"]
    return found


def pin(connection: Connection) -> Pin | None:
    """Return the version that a person went back to, None where nobody did."""
    found = connection.scalar(select(meta.c.value).where(meta.c.key == _PIN))
    return msgspec.json.decode(found, type=Pin) if found else None


def set_pin(connection: Connection, new: Pin) -> None:
    """Keep a pin in the place of any other."""
    take_turns(connection, CHAIN)
    _keep(connection, _PIN, new)
    audit.append(connection, CHAIN, new.at, new.by, "rules_rolled_back", {"version": new.version, "reason": new.reason})


def drop_pin(connection: Connection) -> None:
    """Forget the pin: the folder changed since."""
    connection.execute(delete(meta).where(meta.c.key == _PIN))


def newest(connection: Connection) -> str:
    """Return the version that partitions run, or come to once they have read what was sent last: "" before the first."""
    last = sent(connection)
    return last.control.version if last is not None else risk.active_ruleset(connection)


def in_place(connection: Connection, version: str) -> bool:
    """Say whether `version` is the newest, and nothing of it is left to be sent."""
    last = sent(connection)
    return version == newest(connection) and (last is None or last.whole)


def sent(connection: Connection) -> Sent | None:
    """Return what was sent last in a cluster, None where that was never written down."""
    found = connection.scalar(select(meta.c.value).where(meta.c.key == _SENT))
    return msgspec.json.decode(found, type=Sent) if found else None


def keep_sent(connection: Connection, new: Sent) -> None:
    """Keep what is sent in the place of what was before."""
    _keep(connection, _SENT, new)


def order(connection: Connection) -> Order | None:
    """Return what somebody decided at an api and is not done, None where nothing is."""
    found = connection.scalar(select(meta.c.value).where(meta.c.key == _ORDER))
    return msgspec.json.decode(found, type=Order) if found else None


def set_order(connection: Connection, new: Order) -> None:
    """Keep an order in the place of any other."""
    _keep(connection, _ORDER, new)


def change_order(connection: Connection, old: Order, new: Order) -> bool:
    """Put `new` in the place of `old`; return False where that is not what stands there any more."""
    as_it_was = (meta.c.key == _ORDER, meta.c.value == msgspec.json.encode(old).decode())
    done = connection.execute(update(meta).where(*as_it_was).values(value=msgspec.json.encode(new).decode()))
    return bool(done.rowcount)


def drop_order(connection: Connection, old: Order) -> None:
    """Forget an order where it still stands as it was read: it is done, waits for a second person, or something later took its place."""
    connection.execute(delete(meta).where(meta.c.key == _ORDER, meta.c.value == msgspec.json.encode(old).decode()))


def failing(connection: Connection, version: str) -> tuple[str, ...]:
    """Return the tests in a set's own files that failed when it was activated last, as far as it is the set that was activated last."""
    found = connection.scalar(select(meta.c.value).where(meta.c.key == _FAILING))
    told = msgspec.json.decode(found, type=tuple[str, tuple[str, ...]]) if found else ("", ())
    return told[1] if told[0] == version else ()


def keep_failing(connection: Connection, version: str, tests: Sequence[str]) -> None:
    """Keep which tests failed as a set was activated, in the place of what was kept of the one before."""
    _keep(connection, _FAILING, (version, tests))


def refused(connection: Connection) -> tuple[Problem, ...]:
    """Return what is wrong with the newest content of a cluster's rules folder, () where nothing is."""
    found = connection.scalar(select(meta.c.value).where(meta.c.key == _REFUSED))
    return msgspec.json.decode(found, type=tuple[Problem, ...]) if found else ()


def keep_refused(connection: Connection, problems: Sequence[Problem]) -> None:
    """Keep what is wrong with a cluster's rules folder, in the place of what was wrong before."""
    _keep(connection, _REFUSED, problems)


def _keep(connection: Connection, key: str, told: object) -> None:
    value = msgspec.json.encode(told).decode()
    connection.execute(upsert(meta).values(key=key, value=value).on_conflict_do_update(index_elements=["key"], set_={"value": value}))


def candidate(connection: Connection, version: str) -> Candidate | None:
    """Return a candidate, None where there never was one of this version."""
    row = connection.execute(select(rule_candidates).where(rule_candidates.c.version == version)).one_or_none()
    return None if row is None else _candidate(row)


def waiting(connection: Connection) -> list[Candidate]:
    """Return the candidates that nobody has decided about; there is at most one, the newest."""
    return [_candidate(row) for row in connection.execute(select(rule_candidates).where(rule_candidates.c.state == "pending"))]


def _candidate(row: Any) -> Candidate:
    return Candidate(**{**row._mapping, "report": msgspec.json.decode(row.report)})  # noqa: SLF001  # SQLAlchemy's public name


def propose(connection: Connection, new: Candidate) -> None:
    """Have a candidate wait; one that waited before is replaced by it."""
    take_turns(connection, CHAIN)
    pending = rule_candidates.c.state == "pending"
    connection.execute(update(rule_candidates).where(pending).values(state="replaced", decided_at=new.found_at))
    values = msgspec.structs.asdict(new) | {"report": msgspec.json.encode(new.report).decode()}
    row = upsert(rule_candidates).values(values)
    connection.execute(row.on_conflict_do_update(index_elements=["version"], set_={k: v for k, v in values.items() if k != "version"}))
    audit.append(connection, CHAIN, new.found_at, new.author or "folder", "rules_proposed", {"version": new.version})


def vouch(connection: Connection, version: str, by: str, at: datetime) -> None:
    """Note who stands for a candidate that the folder brought."""
    take_turns(connection, CHAIN)
    connection.execute(update(rule_candidates).where(rule_candidates.c.version == version).values(author=by))
    audit.append(connection, CHAIN, at, by, "rules_vouched", {"version": version})


def decide(connection: Connection, version: str, state: State, by: str, at: datetime, reason: str) -> None:
    """Approve or refuse a candidate."""
    take_turns(connection, CHAIN)
    values = {"state": state, "decided_by": by, "decided_at": at, "reason": reason}
    connection.execute(update(rule_candidates).where(rule_candidates.c.version == version).values(values))
    audit.append(connection, CHAIN, at, by, f"rules_{state}", {"version": version, "reason": reason})
