"""A small city with real parts: warnings raised through commit, tasks dispatched, timers fired, all on a clock moved by hand."""
# Long because: all parts of the city and what drives them are one world, which every page's test builds the same way.

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from litestar import Litestar
from litestar.di import Provide

from app.answers import Answer, Answers, Reply
from app.api.roles import guard, principal_of
from app.approval import Approval
from app.commit import Commit, Consequences
from app.console.pages import console_router, login_page
from app.desk import Desk
from app.duty import delivered
from app.effects import EffectWriter
from app.explaining import Asking
from app.gate import Gate, fingerprint
from app.metrics import Metrics
from app.privacy import Privacy
from app.rule_health import RuleHealth
from app.rulebook import Rulebook
from app.settings import SHIPPED_MAPPINGS, SHIPPED_POLICIES, Settings
from app.views.aside import Aside
from app.workshop import Workshop
from connectors.inbound.edge import Edge
from connectors.inbound.mapping_load import load_folder
from connectors.inbound.mapping_model import Mapping as FeedMapping
from connectors.inbound.personal import Tokens
from dispatch.escalate import fire, in_due_order
from domain.catalogue import Catalogue, CatalogueItem
from domain.clock import ManualClock
from domain.departments import Department
from domain.findings import Contribution, EarlyWarning, Evidence, Outcome, RuleHit, WarningRaised, warning_id
from domain.objects import RegulatedObject, Relation
from domain.ports import Offer
from domain.principals import Principal
from domain.records import AnyEntry, CatalogueEntry, FeedEntry, ObjectsEntry, Record, RejectionEntry, SignalEntry, TickEntry
from storage import access, obligations, outbox
from storage.calendars import load_calendar
from storage.database import Database
from storage.datadir import DataPaths
from storage.identity import Identity
from storage.intake import Appender
from storage.memory_journal import MemoryJournal
from storage.raw import RawStore
from storage.registry import MemoryObjectLookup
from storage.risk import applied_position
from storage.sealing import Seal
from storage.vault import Vault
from tests.factories import make_entry, make_object

MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # 09:00 in Shanghai
LEAD, PARTNER, OTHER, FORCE = "zhujian", "shichang", "yingji", "zhuanban"
UNITS = (
    Department(id=LEAD, name="市住房和城乡建设局", aliases=("市住建局",), region="610100"),
    Department(id=PARTNER, name="市市场监督管理局", aliases=("市市场监管局",), region="610100"),
    Department(id=OTHER, name="市应急管理局", aliases=("市应急局",), region="610100"),
    Department(id="zhujian-yanta", name="雁塔区住房和城乡建设局", region="610113", tier="county", parent=LEAD),
    Department(id=FORCE, name="城镇燃气安全专班", kind="task_force", region="610100"),
    Department(id="fushizhang", name="分管副市长", kind="deputy_mayor", region="610100"),
    Department(id="zhibantai", name="市值班室", kind="duty_desk", region="610100"),
)
ITEMS = (
    CatalogueItem(
        slug="gas-operation",
        title="燃气经营安全监管",
        sector="gas",
        lead="市住建局",
        cooperating=("市市场监管局",),
        basis=("城镇燃气管理条例 第五条",),
    ),
    CatalogueItem(slug="food-service", title="餐饮服务食品安全监管", sector="food", lead="市市场监管局", basis=("食品安全法 第六条",)),
    CatalogueItem(slug="hazchem-storage", title="危险化学品储存监管", sector="hazardous-chemicals", lead="市应急局"),
)
TOKENS = {
    "admin": Principal(name="张敏", role="admin"),
    "duty": Principal(name="值班员王", role="duty"),
    "auditor": Principal(name="审计员", role="auditor"),
    "lead": Principal(name="住建局经办", role="department", department=LEAD),
    "lead-head": Principal(name="住建局负责人", role="department_lead", department=LEAD),
    "partner": Principal(name="市监局经办", role="department", department=PARTNER),
    "other": Principal(name="应急局经办", role="department", department=OTHER),
    "force": Principal(name="专班", role="department", department=FORCE),
    "feed": Principal(name="热线", role="feed", feed="hotline"),
}


@cache
def shipped_desk() -> Desk:
    """Return the shipped policies and calendar, read once."""
    return Desk(load_calendar(range(2025, 2029)), SHIPPED_POLICIES)


@cache
def shipped_mappings() -> Mapping[str, FeedMapping]:
    """Return the shipped mappings, read once."""
    return load_folder(SHIPPED_MAPPINGS)


@dataclass
class City:
    """The parts that pages are given, and what drives them."""

    folder: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(MONDAY))
    nudged: int = 0
    partitions: int = 0

    def __post_init__(self) -> None:
        self.set_aside = Aside()
        self.settings = Settings(data=self.folder / "data")
        self.database = Database.in_memory()
        self.metrics = Metrics()
        self.desk = shipped_desk()
        self.writer = EffectWriter(base_url=self.settings.base_url, link_key=b"k" * 32)
        self.answers = Answers(self.database, self.desk, self.writer, self.clock, self.metrics)
        self.commit = Commit(self.database, Consequences(self.desk, self.writer, self.clock, self.metrics))
        self.lookup = MemoryObjectLookup()
        self._outcomes: list[Outcome] = []
        self.journal = journal = MemoryJournal()
        self.intake = Appender(journal, Identity.in_memory(journal), self.clock, on_synced=self._synced)
        self.rules = self.folder / "rules"
        self.rules.mkdir(parents=True, exist_ok=True)
        workshop = Workshop(DataPaths(self.folder / "data"))
        approval = Approval(self.database, self.clock, needed=False)
        self.rulebook = Rulebook(self.rules, self.database, self.intake, self.metrics, workshop, approval)
        self.health = RuleHealth(self.database, self.rulebook, shipped_mappings(), dict, dict)
        self.asking = Asking(self.settings)
        seal, key = Seal(b"s" * 32), b"p" * 32
        self.vault = Vault(self.database, seal, lambda _: timedelta(days=90))
        (self.folder / "raw").mkdir(exist_ok=True)
        raw = RawStore(self.folder / "raw", seal)
        self.privacy = Privacy(self.database, self.vault, Tokens(key), raw, self.folder / "inbox", self.clock)
        self.edge = Edge(self.intake, self.lookup, key, keep_raw=raw.put, keep_personal=self.vault.keep)
        self.mappings = shipped_mappings()
        with self.database.write() as connection:
            obligations.put_departments(connection, UNITS)
            for token, principal in TOKENS.items():
                access.add_credential(connection, fingerprint(token), principal, self.clock.now())
            for unit in (LEAD, OTHER, "zhujian-yanta"):  # the others look into their inbox
                url, now = f"https://{unit}.example/hook", self.clock.now()
                access.put_endpoint(connection, access.Endpoint(id=f"e-{unit}", department=unit, url=url, state="active", created_at=now))
        self.send(CatalogueEntry(catalogue=Catalogue(version=1, items=ITEMS)))

    def await_shown(self, seq: int) -> None:
        """Wait until record `seq` is committed."""
        while True:
            with self.database.read() as connection:
                if applied_position(connection) >= seq:
                    return
            time.sleep(0.001)  # outside the lock: whoever takes it again at once keeps the appender waiting for seconds

    def nudge(self) -> None:
        """Count that a page asked the duty loop to look."""
        self.nudged += 1

    def _synced(self, records: Sequence[Record]) -> None:
        outcomes, self._outcomes = self._outcomes, []
        for record in records:
            if isinstance(record.entry, ObjectsEntry):
                self.lookup.apply(record.entry)
        self.commit(records, outcomes)

    def close(self) -> None:
        """Stop the appender's thread and close the database."""
        self.intake.close()
        self.database.close()

    # --- what comes in

    def send(self, *entries: AnyEntry, outcomes: Sequence[Outcome] = ()) -> list[int]:
        """Journal entries and commit them together with `outcomes`; return their numbers."""
        self._outcomes = list(outcomes)
        numbers = [receipt.seq for receipt in self.intake.submit([Offer(entry=entry) for entry in entries]).result(20)]
        self.await_shown(max(numbers, default=0))  # the sender is answered before what follows is committed
        return numbers

    def register(self, *things: RegulatedObject) -> None:
        """Put objects into the registry."""
        self.send(ObjectsEntry(version=self.lookup.version() + 1, objects=things))

    def signal(self, identity: str, **kw: Any) -> tuple[int, SignalEntry]:
        """Take one signal of the feed `hotline`; return its number and what was journalled."""
        given: dict[str, Any] = {"feed": "hotline", "id": identity, "source": "hotline", "occurred_at": self.clock.now()}
        entry = make_entry(**(given | kw))
        return self.send(entry)[0], entry

    def reject(self, feed: str, reason: str, raw: bytes, *, message: str = "", column: str = "", position: int = 2) -> int:
        """Keep one rejected record."""
        return self.send(
            RejectionEntry(feed=feed, batch="b" * 64, position=position, reason=reason, field=column, message=message, raw=raw)
        )[0]

    def silence(self, feed: str) -> None:
        """Mark a feed as silent."""
        self.send(FeedEntry(feed=feed, mark="silent"))

    # --- what is found

    def warn(
        self,
        object_id: str = "o-1",
        *,
        sector: str = "gas",
        level: str = "orange",
        evidence: Sequence[tuple[int, SignalEntry]] = (),
        **kw: Any,
    ) -> str:
        """Raise a warning through commit, as the pipeline does; return its id."""
        now = self.clock.now()
        identity = warning_id("live", object_id, sector, kw.get("episode", 1))
        given: dict[str, Any] = {
            "id": identity,
            "subject": object_id,
            "object_id": object_id,
            "matter": sector,
            "sector": sector,
            "region": "610113",
            "level": level,
            "current_level": level,
            "score": {"blue": 28.0, "yellow": 47.0, "orange": 67.0, "red": 88.0}[level],
            "raised_at": now,
            "updated_at": now,
            "episode": 1,
            "ruleset": "r" * 64,
            "rules": ("gas-safety.leaks",),
            "contributions": contributions(now),
            "evidence": tuple(evidence_of(seq, entry) for seq, entry in evidence),
            "evidence_count": len(evidence),
            "kind": evidence[-1][1].signal.kind if evidence else "gas.leak",
        }
        self.send(TickEntry(), outcomes=[WarningRaised(warning=EarlyWarning(**(given | kw)))])
        return identity

    def hit(self, rule: str, seq: int, at: datetime, object_id: str = "o-1", **values: float) -> None:
        """Record that a rule became true; `values` are what its indicators came to, by their name with `__` for the point."""
        found = RuleHit(
            rule=rule,
            subject=object_id,
            object_id=object_id,
            matter="gas",
            feed="hotline",
            signal="s",
            seq=seq,
            at=at,
            values={name.replace("__", "."): value for name, value in values.items()},
            message="",
        )
        self.send(TickEntry(), outcomes=[found])

    # --- what departments and time do

    def aside(self) -> Aside:
        """Return what a test has set aside."""
        return self.set_aside

    def deliver(self) -> None:
        """Deliver everything that is due to an endpoint, as the duty loop does after a 2xx."""
        now = self.clock.now()
        with self.database.write() as connection:
            for one in outbox.claim(connection, now, timedelta(seconds=60), 1000):
                row = outbox.AttemptRow(delivery_id=one.id, n=one.attempt + 1, at=now, status=204, detail="")
                if outbox.record_attempt(connection, row, next_at=None, state="sent"):
                    delivered(self.writer, self.desk, connection, one, now)

    def bury(self, warning: str) -> None:
        """Let the waiting deliveries of a warning to endpoints fail for good."""
        with self.database.write() as connection:
            for one in outbox.listed(connection, warning_id=warning, state="waiting"):
                if one.endpoint_id:
                    row = outbox.AttemptRow(delivery_id=one.id, n=1, at=self.clock.now(), status=410, detail="gone")
                    outbox.record_attempt(connection, row, next_at=None, state="dead")

    def wait(self, **span: float) -> None:
        """Let time pass (keywords of timedelta); timers fire in due order at their time, deliveries go out."""
        end = self.clock.now() + timedelta(**span)
        while True:
            with self.database.read() as connection:
                ahead = obligations.due_timers(connection, end, 1)
            if not ahead:
                break
            self.clock.move_to(max(ahead[0].due_at, self.clock.now()))
            self._fire()
            self.deliver()
        self.clock.move_to(end)

    def _fire(self) -> None:
        now = self.clock.now()
        with self.database.write() as connection:
            for timer in in_due_order(obligations.due_timers(connection, now, 500))[:1]:
                case = obligations.get_case(connection, timer.warning_id)
                assert case is not None
                tasks = obligations.tasks_of(connection, timer.warning_id)
                applied = fire(case, tasks, timer, self.desk.context(connection), now)
                self.writer.write(connection, [applied], now)

    def answer(self, who: str, warning: str, action: str, *, task: str = "", **form: Any) -> Reply:
        """Answer as the holder of a token."""
        return self.answers.give(TOKENS[who], warning, Answer(action=action, task=task, form=form))

    def task_of(self, warning: str, department: str) -> str:
        """Return the id of a department's newest task."""
        with self.database.read() as connection:
            found = [task for task in obligations.tasks_of(connection, warning) if task.department == department]
        return max(found, key=lambda task: task.attempt).id

    def link(self, warning: str, department: str, purpose: str = "test") -> str:
        """Return the path of a one-time link to a department's task."""
        with self.database.write() as connection:
            task = obligations.get_task(connection, self._task_id(connection, warning, department))
            return self.writer.answer_link(connection, task, purpose, self.clock.now()).removeprefix(self.settings.base_url)

    def _task_id(self, connection: Any, warning: str, department: str) -> str:
        found = [task for task in obligations.tasks_of(connection, warning) if task.department == department]
        return max(found, key=lambda task: task.attempt).id

    def asgi(self) -> Gate:
        """Return the console behind the gate."""
        app = Litestar(
            route_handlers=[console_router()],
            guards=[guard],
            dependencies={
                "services": Provide(lambda: self, sync_to_thread=False),
                "principal": Provide(principal_of, sync_to_thread=False),
            },
            logging_config=None,
            openapi_config=None,
        )
        return Gate(app, access.SqlCredentials(self.database, self.clock.now), login_page)


def contributions(now: datetime) -> tuple[Contribution, ...]:
    """Return two rules and a model, as fusion leaves them."""
    return (
        Contribution(
            source="rule",
            name="gas-safety.leaks",
            title="七日内多次燃气泄漏投诉",
            points=38.0,
            full=40.0,
            since=now - timedelta(hours=6),
            message="7 天内 4 次燃气泄漏投诉，来自 3 个小区",
            values={"complaints_7d": 4.0, "places": 3.0},
            basis=("城镇燃气管理条例 第三十五条", "GB 55009-2021 5.4"),
            plan="燃气泄漏应急预案（二级）",
        ),
        Contribution(
            source="rule",
            name="gas-safety.penalties",
            title="一年内受过燃气安全处罚",
            points=17.0,
            full=20.0,
            since=now - timedelta(days=40),
            message="一年内 2 次行政处罚，共 3.5 万元",
            values={"penalties_1y": 2.0},
            basis=("城镇燃气管理条例 第四十六条",),
        ),
        Contribution(
            source="model",
            name="forest",
            title="指标组合异常",
            points=12.0,
            full=12.0,
            since=now - timedelta(hours=6),
            message="指标组合少见：投诉 4（同类中位数 0）；同类中约每 180 个对象出现一个",
        ),
    )


def evidence_of(seq: int, entry: SignalEntry) -> Evidence:
    """Return the evidence that a journalled signal becomes."""
    said = entry.signal
    return Evidence(feed=entry.feed, id=said.id, seq=seq, source=said.source, kind=said.kind, occurred_at=said.occurred_at, text=said.text)


def gas_company(**kw: Any) -> RegulatedObject:
    """Return the company that most tests are about."""
    given: dict[str, Any] = {
        "name": "长安燃气有限公司",
        "code": "91610132MA6U0KLX47",
        "code_valid": True,
        "aliases": ("长安燃气",),
        "address": "雁塔区科技路 1 号",
        "industry": "4511",
        "credit": "C",
        "labels": ("重点监管", "管道燃气"),
        "relations": (Relation(kind="operates", object_id="o-2"),),
        "listed_by": (LEAD,),
    }
    return make_object(**(given | kw))


VERIFIED = {"finding": "confirmed", "means": "phone", "facts": "电话核实，现场有异味"}
HANDLED = {"measure": "更换阀门并停气检修", "proof": ["照片 12 张"]}
FED_BACK = {"result": "已恢复供气，浓度为零", "verdict": "handled"}
