"""A small city around the real application: every part is the real one, only the clock is moved by hand.

`world.at("30m")` lets time pass to 30 minutes after the start; everything due on the way happens at its own instant.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import httpx

from app.server import Server
from app.settings import Settings
from app.wiring import Application
from domain.clock import ManualClock
from tests.app.offices import WALL, Message, Offices
from tests.connectors.senders import as_csv, uscc

MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # 09:00 in Shanghai, a working day
LEAD, PARTNER, OTHER, FORCE, MAYOR, DESK = "zhujian", "shichang", "yingji", "zhuanban", "fushizhang", "zhibantai"
GAS, FOOD = uscc(31), uscc(32)
SPANS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
TEXT = {"text/csv": "a.csv"}

RULES = """\
pack: gas
title: 燃气安全
sector: gas
owner: 市住建局
effective: {from: 2024-01-01}
plan: response
indicators:
  fines_24h:
    title: 近24小时燃气罚款
    sum: value
    unit: 元
    where: source == penalty and matter == gas
    window: 24h
    exact: true
  leaks_24h:
    title: 近24小时泄漏反映
    count: signals
    where: kind == gas.leak
    window: 24h
    exact: true
rules:
  - id: gas-heavy-fine
    title: 燃气重罚
    status: active
    basis: [城镇燃气管理条例第四十六条]
    when: fines_24h >= 5万元
    points: 65
    say: "{object.name}24小时内燃气罚款{fines_24h}"
    tests:
      - name: 两笔合计五万元即报
        given:
          - {at: +0h, source: penalty, kind: penalty.decided, matter: gas, value: 2万元}
          - {at: +1h, source: penalty, kind: penalty.decided, matter: gas, value: 3万元}
        expect: {hit_at: +1h, level: orange}
      - name: 一笔小额不报
        given:
          - {at: +0h, source: penalty, kind: penalty.decided, matter: gas, value: 2万元}
        expect: none
  - id: gas-leaks
    title: 燃气泄漏反映集中
    status: active
    basis: [城镇燃气管理条例第四十条]
    when: leaks_24h >= 3
    points: 65
    say: "{object.name}24小时内泄漏反映{leaks_24h}件"
    tests:
      - name: 三件即报
        given:
          - {at: +0h, source: hotline, kind: gas.leak, times: 3, every: 1h}
        expect: {hit_at: +2h, level: orange}
      - name: 两件不报
        given:
          - {at: +0h, source: hotline, kind: gas.leak, times: 2, every: 1h}
        expect: none
"""
DEPARTMENTS = """\
departments:
  - {id: zhujian, name: 市住房和城乡建设局, aliases: [市住建局], region: "610100"}
  - {id: shichang, name: 市市场监督管理局, aliases: [市市场监管局], region: "610100"}
  - {id: yingji, name: 市应急管理局, aliases: [市应急局], region: "610100"}
  - {id: zhuanban, name: 城镇燃气安全专班, kind: task_force, region: "610100"}
  - {id: fushizhang, name: 分管副市长, kind: deputy_mayor, region: "610100"}
  - {id: zhibantai, name: 市值班室, kind: duty_desk, region: "610100", hours: always}
"""
CATALOGUE = """\
监管事项,牵头单位,配合单位,设定依据,监管层级,sector,slug
燃气经营安全监管,市住建局,市市场监管局,城镇燃气管理条例第五条,市级,gas,gas-operation
餐饮服务食品安全监管,市市场监管局,,食品安全法第六条,市级,food,food-service
"""
OBJECTS = f"""\
id,type,name,code,region,address
o-gas,enterprise,长安燃气有限公司,{GAS},610113,雁塔区科技路1号
o-food,enterprise,曲江香满楼餐饮有限公司,{FOOD},610113,雁塔区曲江路2号
"""
VERIFIED = {"finding": "confirmed", "means": "phone", "facts": "电话核实，情况属实"}
HANDLED = {"measure": "停气整改", "proof": ["照片1"]}
FED_BACK = {"result": "已整改到位", "verdict": "handled"}
SIGNED = {"signed_by": "局长甲"}
FORMS: Mapping[str, Mapping[str, Any]] = {"receive": {}, "verify": VERIFIED, "handle": HANDLED, "feed_back": FED_BACK}


def span(text: str) -> timedelta:
    """Return `1h30m` as a length of time."""
    parts = re.findall(r"(\d+)([dhms])", text)
    assert "".join(f"{number}{unit}" for number, unit in parts) == text, text
    return sum((timedelta(**{SPANS[unit]: int(number)}) for number, unit in parts), timedelta(0))


def penalty(number: int, fine: str = "6", **change: Any) -> dict[str, Any]:
    """Return a gas penalty by its 双公示 codes; `fine` is in 万元."""
    return {
        "CF_XDR_MC": "长安燃气有限公司", "CF_XDR_SHXYM": GAS, "CF_WSH": f"{number}号", "CF_SY": "燃气泄漏未及时处置", "CF_NR_FK": fine,
        "CF_JDRQ": "2026-03-02", "CF_CFJG": "市城管局",
    } | change  # fmt: skip


class World:
    """The application, its HTTP server, and the departments' receivers."""

    def __init__(self, folder: Path, *, rules: str = RULES, furnished: bool = True, **settings: Any) -> None:
        """`furnished` imports the registers and registers the endpoints of all departments but those without a system."""
        self.folder = folder
        self.rules = folder / "rules"
        self.rules.mkdir(parents=True)
        (self.rules / "gas.yaml").write_text(rules, encoding="utf-8")
        self.clock = ManualClock(MONDAY)
        self.started = MONDAY
        self.tokens: dict[str, str] = {}
        self.offices = Offices(LEAD, PARTNER, OTHER, FORCE, MAYOR, DESK).__enter__()
        self._settings = {
            "inbox_seconds": 0,
            "inbox_settle_seconds": 0,
            "reload_seconds": 0,
            "egress": {"allow": ("127.0.0.0/8",)},
        } | settings
        self._port = 0
        self.open()
        if furnished:
            self._furnish()

    # --- its life

    def open(self) -> Self:
        """Start the application (again) on its data folder."""
        settings = Settings(data=self.folder / "data", rules=self.rules, port=self._port, **self._settings)
        self.app = Application(settings, clock=self.clock, lockstep=True)
        self._port = self.app.settings.port
        self.app.start()
        self.server = Server(self.app)
        self.server.start()
        self.http = httpx.Client(base_url=self.app.settings.base_url, timeout=120, trust_env=False)
        self.app.settle()
        return self

    def shut(self) -> Self:
        """Stop the application in good order, if it runs."""
        if self.http.is_closed:
            return self
        self.http.close()
        self.server.stop()
        self.app.stop()
        return self

    def close(self) -> None:
        """Stop everything."""
        self.shut()
        self.offices.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _furnish(self) -> None:
        for what, name, body in (
            ("departments", "d.yaml", DEPARTMENTS),
            ("catalogue", "c.csv", CATALOGUE),
            ("objects", "o.csv", OBJECTS),
        ):
            answer = self.call("POST", f"/v1/import/{what}?name={name}", content=body.encode())
            assert answer.json()["problems"] == [], answer.text
        for office in self.offices:
            office.secrets.append(self.call("PUT", f"/v1/departments/{office.id}/endpoint", json={"url": office.url}).json()["secret"])
        for name, role, department, feed in (
            ("duty", "duty", "", ""),
            ("auditor", "auditor", "", ""),
            ("monitor", "monitor", "", ""),
            ("lead", "department", LEAD, ""),
            ("lead-head", "department_lead", LEAD, ""),
            ("partner", "department", PARTNER, ""),
            ("other", "department", OTHER, ""),
            ("feed", "feed", "", "penalties"),
            ("signals", "feed", "", "signals"),
        ):
            granted = self.call("POST", "/v1/access", json={"name": name, "role": role, "department": department, "feed": feed})
            self.tokens[name] = granted.json()["token"]
        self.app.settle()

    # --- time

    def at(self, when: str) -> Self:
        """Let time pass to `when` after the start; what becomes due on the way happens at its own instant."""
        return self.until(self.started + span(when))

    def until(self, moment: datetime) -> Self:
        """Let time pass to an instant."""
        due = self.app.settle()
        while upcoming := [
            one for one in (due, self.app.engine.next_wake(), self.app.silence.next_at()) if one is not None and one <= moment
        ]:
            self.clock.move_to(max(min(upcoming), self.clock.now()))
            due = self.app.settle()
        self.clock.move_to(max(moment, self.clock.now()))
        self.app.settle()
        return self

    def jump(self, when: str) -> Self:
        """Move the clock at one stroke, as a suspended machine finds it; then let everything overdue happen."""
        self.clock.move_to(self.started + span(when))
        self.app.settle()
        return self

    def restart(self, after: str = "0s") -> Self:
        """Stop, stay down for a while, start again."""
        self.shut()
        self.clock.advance(span(after))
        return self.open()

    # --- asking and telling

    def admin_token(self) -> str:
        """Return the administrator's token from the data folder."""
        return (self.folder / "data" / "admin-token").read_text().strip()

    def headers(self, who: str) -> dict[str, str]:
        """Return somebody's credential; "" is nobody's."""
        if not who:
            return {}
        return {"authorization": f"Bearer {self.admin_token() if who == 'admin' else self.tokens[who]}"}

    def ask(self, who: str, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request as somebody, whatever comes of it."""
        options["headers"] = self.headers(who) | dict(options.get("headers", {}))
        return self.http.request(method, path, **options)

    def call(self, method: str, path: str, who: str = "admin", **options: Any) -> httpx.Response:
        """Send a request that must succeed."""
        response = self.ask(who, method, path, **options)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response

    def read(self, path: str, who: str = "admin") -> Any:
        """Return the decoded answer of a GET."""
        return self.call("GET", path, who).json()

    def post(self, *records: Mapping[str, Any], feed: str = "penalties", who: str = "feed") -> dict[str, Any]:
        """Post raw records as CSV and let everything that follows happen; return the answer."""
        answer: dict[str, Any] = self.call(
            "POST", f"/v1/feeds/{feed}/records", who, content=as_csv(list(records)), headers={"content-type": "text/csv"}
        ).json()
        self.app.settle()
        return answer

    def drop(self, name: str, *records: Mapping[str, Any], feed: str = "penalties", encoding: str = "gb18030") -> Path:
        """Put a file into the watched folder and let it be taken."""
        folder = self.folder / "data" / "inbox" / feed
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(as_csv(list(records), encoding))
        self.app.inbox.scan()
        self.app.settle()
        return folder

    def signals(self, *signals: Mapping[str, Any], who: str = "signals", **options: Any) -> httpx.Response:
        """Post canonical signals and let everything that follows happen."""
        response = self.ask(who, "POST", "/v1/signals", json=list(signals), **options)
        self.app.settle()
        return response

    def warnings(self, who: str = "duty", **filters: str) -> list[dict[str, Any]]:
        """Return the warnings that somebody finds in the list."""
        found: list[dict[str, Any]] = self.call("GET", "/v1/warnings", who, params=filters).json()["warnings"]
        return found

    def warn(self, number: int = 1) -> str:
        """Raise an orange gas warning by a heavy fine and return its id."""
        self.post(penalty(number))
        [found] = self.warnings(status="open")
        return str(found["id"])

    # --- departments

    def assigned(self, office: str, warning: str = "") -> Message:
        """Return the newest assignment that an office received."""
        return self.offices[office].told("task.assigned", warning)[-1]

    def answer(self, office: str, action: str, *, warning: str = "", form: Mapping[str, Any] | None = None, **more: Any) -> httpx.Response:
        """Answer as a department's system does: signed with its secret, about the newest assignment."""
        told = self.assigned(office, warning).data
        task, about = told["task"]["id"], told["warning"]["id"]
        chosen = FORMS.get(action, {}) if form is None else form
        body = json.dumps(
            {"action": action, "task": task, "form": chosen, "operator": f"{office}-张三", **more}, ensure_ascii=False
        ).encode()
        headers = self.offices[office].sign(f"{action}-{task}", body)
        response = self.http.post(f"/v1/warnings/{about}/responses", content=body, headers=headers)
        self.app.settle()
        return response

    def finish(self, *offices: str, warning: str = "") -> None:
        """Let departments do everything from signing to feedback."""
        for office in offices:
            for action in ("receive", "verify", "handle", "feed_back"):
                response = self.answer(office, action, warning=warning)
                assert response.status_code == 200, response.text

    def accept(self, *offices: str, warning: str = "") -> None:
        """Let the duty desk accept departments' feedback."""
        for office in offices:
            told = self.assigned(office, warning).data
            body = {"action": "accept", "task": told["task"]["id"], "form": SIGNED, "operator": "值班员甲"}
            self.call("POST", f"/v1/warnings/{told['warning']['id']}/responses", "duty", json=body)
            self.app.settle()

    def story(self, warning: str, who: str = "duty") -> dict[str, Any]:
        """Return the whole story of a warning."""
        found: dict[str, Any] = self.read(f"/v1/warnings/{warning}/explain", who)
        return found


def signal(identity: str, **change: Any) -> dict[str, Any]:
    """Return a canonical gas leak complaint about the gas company."""
    return {
        "id": identity,
        "source": "hotline",
        "kind": "gas.leak",
        "object_id": GAS,
        "occurred_at": "2026-03-02T08:30:00+08:00",
        "text": "楼道有煤气味",
    } | change


def by_event(messages: Sequence[Message]) -> list[str]:
    """Return the events of messages, in order."""
    return [one.event for one in messages]


def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until something holds that another thread does beside the answer; fail where it does not in time."""
    end = WALL.now() + timedelta(seconds=seconds)
    while not holds():
        assert WALL.now() < end, "it never came to hold"
        threading.Event().wait(0.01)
