"""`fengsui doctor`: looks at the data folder and the machine from outside, and says what needs attention."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Connection

from app.clock import SystemClock
from app.cluster.aside import left_out
from app.engine import ENGINE
from app.inferring import REMEDY
from app.rule_folder import read_folder
from app.settings import Kafka, Settings
from app.stores import look
from dispatch.soundness import faults, orphaned
from domain.errors import FengsuiError, FileProblems
from domain.inference import Program
from domain.messages import both
from domain.tasks import Task, Timer, WarningCase
from models.registry import REGISTRY
from rules import load
from storage import audit, obligations, progress, risk
from storage.database import Database
from storage.datadir import NETWORK, DataPaths, file_system
from storage.durability import Durability, durability
from storage.journal_folder import JournalFolder
from storage.progress import Holding
from storage.sealing import SEALING_KEY, check_key
from storage.sqlite import quick_check
from streams.ruletest import run_cases
from streams.runtimes.durable import installed, smoke_sets, tried

WAL_FIXED = (3, 51, 3)  # SQLite's WAL-reset defect; harmless with one writer, which is what Fengsui has
LEAST_FREE = 2**30  # bytes
SHOWN = 5  # faults of obligations
NO_RULES = "没有启用任何规则集，不会产生预警；见 fengsui rules check / none is active and nothing is ever raised: see fengsui rules check"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    ok: bool
    detail: str


def examine(
    data: Path, rules: Path, sealing_key: Path | None = None, *, named: bool = False, settings: Settings | None = None
) -> list[Finding]:
    """Return what was looked at, in order; a data folder that is not there yet is fine, unless somebody named it (`named`).

    `sealing_key` is the setting of that name: where the key lies, if not in the data folder. `settings` say which database it is, the
    data folder's own where they are left out; one on a server is looked at without a data folder too, and a cluster's with its topics.
    """
    findings = [
        Finding("python", sys.version_info >= (3, 11), sys.version.split()[0]),
        Finding("engine", ok=True, detail=both(ENGINE.why or "engine.compiled")),
        _sqlite(),
        _rules(rules),
        _inference(rules),
    ]
    if settings is not None and settings.kafka.sources:
        findings += _sources(settings)
    if data.exists() and not data.is_dir():
        return [*findings, Finding("data folder", ok=False, detail=f"{data} 不是目录 / is no folder")]
    kept = _database(data, sealing_key or data / SEALING_KEY, settings) if data.is_dir() or (settings and settings.database_url) else []
    if not data.is_dir() and named:
        missing = f"没有这个目录：{data}，请核对 --data / no such folder; check --data, or let the first serve make it"
        return [*findings, Finding("data folder", ok=False, detail=missing), *kept]
    clustered = settings is not None and _clustered(settings)
    if not data.is_dir():
        made = (
            [] if clustered else [Finding("data folder", ok=True, detail=f"{data} 尚未建立，首次 serve 时建立 / made by the first serve")]
        )
        return [*findings, *made, *kept]
    return [*findings, *_folder(data), *([] if clustered else [_journal(data)]), *kept]


def _sqlite() -> Finding:
    version = sqlite3.sqlite_version
    note = "" if sqlite3.sqlite_version_info >= WAL_FIXED else "；单写连接规避了 WAL 重置缺陷 / one writer avoids its WAL-reset defect"
    return Finding("sqlite", ok=True, detail=version + note)


def _rules(folder: Path) -> Finding:
    try:
        ruleset, problems = load.check(read_folder(folder))
    except FileProblems as error:
        return Finding("rules", ok=False, detail=str(error))
    if ruleset is None:
        errors = [str(problem) for problem in problems if problem.severity == "error"]
        return Finding("rules", ok=False, detail=f"{folder}: {errors[0]}{_more(len(errors), f'fengsui rules check {folder}')}")
    failing = [f"{each.case.file}:{each.case.line} {each.case.name}" for each in run_cases(ruleset, REGISTRY) if not each.passed]
    if failing:
        more = _more(len(failing), f"fengsui rules test {folder}")
        return Finding("rules", ok=False, detail=f"{folder}: {both('rules.test_fails', test=failing[0])}{more}")
    told = both("doctor.rules", rules=len(ruleset.rules), version=ruleset.version[:12])
    return Finding("rules", ok=True, detail=f"{folder} {told}")


def _more(count: int, command: str) -> str:
    """Return what to add to the first of `count` faults."""
    return f"; {both('doctor.more_see', count=count - 1, command=command)}" if count > 1 else ""


def _inference(folder: Path) -> Finding:
    """Say who draws the conclusions; only a library that fails on these rules is a fault, one that is not there is none."""
    try:
        ruleset, _ = load.check(read_folder(folder))
    except FileProblems:
        ruleset = None
    program = ruleset.program() if ruleset is not None else Program()
    if not program.productions:
        return Finding("inference", ok=True, detail=both("inference.none"))
    if not installed():
        return Finding("inference", ok=True, detail=both("inference.not_installed", remedy=REMEDY))
    trouble = tried(program)
    if trouble is None:
        sets = sum(1 for _ in smoke_sets(program))
        return Finding("inference", ok=True, detail=both("inference.engine", version=version("durable-rules"), sets=sets))
    place = next((f"{each.file}:{each.line}" for each in (ruleset.inferences if ruleset else ()) if each.id == trouble.production), "")
    return Finding("inference", ok=False, detail=both("inference.refused", inference=trouble.production, place=place, how=trouble.how))


def _folder(data: Path) -> list[Finding]:
    mode = data.stat().st_mode & 0o777
    free = shutil.disk_usage(data).free
    kind = file_system(data.resolve(), Path("/proc/self/mounts").read_text(encoding="utf-8"))
    open_, writable = bool(mode & 0o077), os.access(data, os.W_OK)
    return [
        Finding("data folder", not open_, f"{data} {both('doctor.mode_open' if open_ else 'doctor.mode', mode=f'{mode:o}')}"),
        Finding("owner", writable, both("doctor.writable" if writable else "doctor.not_writable")),
        Finding("free space", free > LEAST_FREE, f"{free / 2**30:.1f} GiB"),
        Finding("file system", bool(kind) and kind not in NETWORK, kind or both("doctor.unknown")),
    ]


def _journal(data: Path) -> Finding:
    try:
        journal = JournalFolder(DataPaths(data).journal)
        records = sum(1 for _ in journal.read(journal.first() - 1))
    except (FengsuiError, OSError) as error:
        return Finding("journal", ok=False, detail=str(error))
    return Finding("journal", ok=True, detail=both("doctor.journal", records=f"{records:,}"))


def _database(data: Path, key: Path, settings: Settings | None) -> list[Finding]:
    shared = settings is not None and settings.database_url
    try:
        with look(settings, data) if settings is not None else Database.look(DataPaths(data).database) as connection:
            wrong = _server(connection, settings) if settings is not None and shared else quick_check(connection)
            broken = audit.verify_all(connection)
            applied = risk.applied_position(connection)
            active = risk.active_ruleset(connection)
            sealing = _sealing(connection, key)
            owed = _obligations(connection)
            kept = durability(connection)
            held = progress.holdings(connection)
            out = left_out(connection)
    except FengsuiError as error:
        beside = [_cluster(settings, [])] if settings is not None and _clustered(settings) else []
        return [Finding("database", ok=False, detail=str(error)), *beside]
    sound = both("doctor.sound") if held else both("doctor.applied", applied=f"{applied:,}")
    return [
        Finding("database", not wrong, "; ".join(wrong) or sound),
        *([_cluster(settings, held)] if settings is not None and (held or _clustered(settings)) else []),
        *([Finding("records", ok=False, detail=both("cluster.left_out", count=len(out)))] if out else []),
        Finding("active rules", bool(active), both("doctor.active", version=active[:12]) if active else NO_RULES),
        sealing,
        Finding("audit", not broken, _chains(broken)),
        owed,
        *([_durability(kept)] if kept is not None else []),
    ]


def _chains(broken: Collection[str]) -> str:
    if not broken:
        return both("doctor.audit_sound")
    return both("doctor.audit_broken", count=len(broken), where=", ".join(sorted(broken)))


def _clustered(settings: Settings) -> bool:
    """Tell whether the settings are a cluster's: a database that others share, and brokers. Its log is no journal of a folder."""
    return bool(settings.database_url) and settings.kafka != Kafka()


def _cluster(settings: Settings, held: Sequence[Holding]) -> Finding:
    """Look at the topics: whether they are as they have to be, and how much of what they hold was judged; `held` is that, if known."""
    try:
        from connectors.kafka.topics import Topics  # noqa: PLC0415  the driver is no business of whoever has no brokers

        with Topics(settings.kafka.access(), settings.kafka.layout()) as topics:
            wrong, written = topics.differences(), topics.written()
    except ModuleNotFoundError:
        return Finding("cluster", ok=False, detail=both("kafka.extra"))
    except FengsuiError as error:
        return Finding("cluster", ok=False, detail=str(error))
    topic = settings.kafka.layout().topic("frames")
    frames = [one for one in held if one.topic == topic]
    done = sum(one.offset_done + 1 for one in frames)
    faults = [f"{one.topic}: {one.what}" for one in wrong]
    if written < done:
        faults.append(both("worker.short_log", where=topic, end=written, done=done))
    if not frames:
        return Finding("cluster", not faults, "; ".join(faults) or both("topics.fine"))
    told = both("cluster.partitions", partitions=len(frames), workers=len({one.owner for one in frames}), written=written, done=done)
    return Finding("cluster", not faults, "; ".join(faults) or told)


def _sources(settings: Settings) -> list[Finding]:
    """Look whether the topics of other systems can be read."""
    try:
        from app.cluster.sources import standing  # noqa: PLC0415  as above

        return [Finding("source", ok, told) for ok, told in standing(settings.kafka)]
    except ModuleNotFoundError:
        return [Finding("source", ok=False, detail=both("kafka.extra"))]


def _durability(kept: Durability) -> Finding:
    """Say how safely the brokers keep the log: reduced is what somebody accepted for an edge, and nobody should forget."""
    told = "durability.reduced" if kept.reduced else "durability.sound"
    return Finding("log", not kept.reduced, both(told, replicas=kept.replicas, in_sync=kept.in_sync))


def _obligations(connection: Connection) -> Finding:
    """Look at every warning that is not over: somebody is responsible, clocks run with their timers and end where they can."""
    now, ids = SystemClock().now(), obligations.under_way(connection)
    wrong = []
    for warning_id in ids:
        case, tasks, timers = _settled(connection, warning_id)
        found = faults(case, tasks, timers, now) + orphaned(tasks) if case is not None else []
        wrong += [f"{warning_id}: {each}" for each in found]
    more = f"; {both('doctor.more', count=len(wrong) - SHOWN)}" if len(wrong) > SHOWN else ""
    sound = both("obligations.sound", count=len(ids))
    return Finding("obligations", not wrong, "; ".join(wrong[:SHOWN]) + more if wrong else sound)


def _settled(connection: Connection, warning_id: str) -> tuple[WarningCase | None, tuple[Task, ...], list[Timer]]:
    """Return the rows of a warning as they stood at one instant, though a server may be at work: twice the same."""

    def rows() -> tuple[WarningCase | None, tuple[Task, ...], list[Timer]]:
        case = obligations.get_case(connection, warning_id)
        return case, obligations.tasks_of(connection, warning_id), obligations.timers_of(connection, warning_id)

    before, after = rows(), rows()
    while before != after:
        before, after = after, rows()
    return after


def _server(connection: Connection, settings: Settings) -> list[str]:
    """Return what is wrong with a shared database: its tables are of another version, or its clock is not this machine's."""
    from storage import postgres  # noqa: PLC0415  the driver is no business of whoever has no server

    found = postgres.troubles(connection, SystemClock(), postgres.shown(settings.database_url))
    return [trouble for trouble in found.values() if trouble]


def _sealing(connection: Connection, key: Path) -> Finding:
    try:
        check_key(connection, key)
    except FengsuiError as error:
        return Finding("sealing key", ok=False, detail=str(error))
    return Finding("sealing key", ok=True, detail=both("sealing.sound", path=key))
