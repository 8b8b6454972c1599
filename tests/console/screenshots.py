"""Take the pictures of the console that the documents show: `python -m tests.console.screenshots [FOLDER]`.

Everything in them is invented and the clock stands still, so the same code gives the same pictures.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from datetime import datetime, timedelta
from pathlib import Path

import uvicorn
from playwright.sync_api import sync_playwright

from app.settings import SHIPPED_PACKS
from domain.objects import Resolution
from domain.records import SignalEntry
from domain.signals import ObjectRef
from tests.console.city import FED_BACK, HANDLED, PARTNER, VERIFIED, City, gas_company
from tests.factories import make_object

WIDTH, HEIGHT = 1400, 900
HEIGHTS = {"duty": 760, "warning": 1480, "object": 820, "unresolved": 470, "feeds": 800, "rules": 900}  # pixels of each picture
COMPANY, HOTLINE = ObjectRef(id="o-1"), "hotline-12345"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def seed(city: City) -> str:
    """Fill the city with one working day and return the warning whose story is shown."""
    city.register(
        gas_company(),
        make_object(id="o-2", name="科技路调压站", type="site"),
        make_object(id="o-3", name="好味小炒店", type="individual_business", aliases=("好味餐馆",), address="雁塔区小寨西路 22 号"),
        make_object(id="o-4", name="沣东化工仓储有限公司", code="91610131MA6TX3NQ5B", code_valid=False),
        make_object(id="o-5", name="云锦健身服务有限公司"),
        make_object(id="o-6", name="曲江新苑二期项目", type="project"),
        make_object(id="o-7", name="渭水食品厂"),
        make_object(id="o-8", name="好味餐馆", address="高新区丈八街 5 号"),
    )
    _rules(city)
    calls = [
        _call(city, "gd-0228-118", 40, "小区楼道有煤气味，已持续两天"),
        city.signal(
            "cf-2026-31", feed="penalties", source="penalty", kind="penalty.decided", value=20000.0, unit="CNY",
            text="未按规定开展入户安全检查", object=COMPANY, occurred_at=_ago(city, 30),
        ),
        _call(city, "gd-0301-407", 14, "厨房燃气表漏气，公司迟迟不来修"),
        city.signal(
            "gd-0302-015", feed=HOTLINE, kind="gas.leak", text="同一栋楼又漏气，住户已自行关阀", object=COMPANY, confidential="restricted",
            occurred_at=_ago(city, 1),
        ),
    ]  # fmt: skip
    city.hit("wages-complaint-burst", calls[2][0], _ago(city, 200), object_id="o-6")
    city.hit("food-poisoning", calls[2][0], _ago(city, 90), object_id="o-7")
    hours = {calls[0][0]: ("gas-complaint-burst", 40), calls[3][0]: ("gas-complaint-burst", 1), calls[1][0]: ("gas-repeat-offender", 30)}
    for seq, (rule, ago) in hours.items():
        city.hit(rule, seq, _ago(city, ago), **VALUES[rule])
    closed = city.warn("o-7", sector="food", level="yellow")
    city.wait(minutes=5)
    _close(city, closed)
    city.warn("o-3", sector="food", level="blue")
    shown = city.warn("o-1", evidence=calls, ruleset=city.rulebook.active)
    city.warn("o-5", sector="prepaid", level="yellow")
    city.deliver()
    city.answer("lead", shown, "receive")
    city.wait(hours=4, minutes=40)
    city.answer("lead", shown, "verify", **VERIFIED)
    city.warn("o-4", sector="hazardous-chemicals", level="red")
    city.deliver()
    city.wait(minutes=51)
    city.answer("lead", shown, "handle", **HANDLED)
    city.warn("o-6", sector="construction", level="orange")
    city.wait(minutes=12)
    _intake(city)
    return shown


def _call(city: City, identity: str, hours: float, text: str) -> tuple[int, SignalEntry]:
    """Take a call about a leak that was made some hours ago."""
    return city.signal(identity, feed=HOTLINE, kind="gas.leak", text=text, object=COMPANY, occurred_at=_ago(city, hours))


def _ago(city: City, hours: float) -> datetime:
    return city.clock.now() - timedelta(hours=hours)


def _rules(city: City) -> None:
    """Activate the shipped packs, then leave a typo in the folder: the last good set runs on."""
    for path in SHIPPED_PACKS.glob("*.yaml"):
        shutil.copy(path, city.rules)
    city.rulebook.start()
    gas = city.rules / "gas.yaml"
    gas.write_text(gas.read_text(encoding="utf-8").replace("points:", "point:", 1), encoding="utf-8")
    city.rulebook.refresh()


def _close(city: City, warning: str) -> None:
    """Carry a warning through to its end: the partner leads it, the desk reviews."""
    from app.duty import delivered  # noqa: PLC0415  # needed for this one inbox
    from storage import outbox  # noqa: PLC0415  # the same

    now = city.clock.now()
    with city.database.write() as connection:
        for one in outbox.inbox(connection, [PARTNER]):
            row = outbox.AttemptRow(delivery_id=one.id, n=1, at=now, status=200, detail="inbox:市监局经办")
            if outbox.record_attempt(connection, row, next_at=None, state="sent"):
                delivered(city.writer, city.desk, connection, one, now)
    for action, form in (("receive", {}), ("verify", VERIFIED), ("handle", HANDLED), ("feed_back", FED_BACK)):
        city.answer("partner", warning, action, **form)
    city.answer("duty", warning, "accept", task=city.task_of(warning, PARTNER))


def _intake(city: City) -> None:
    """Feeds with what could not be taken in."""
    city.reject(
        "hotline-12345",
        "bad_date",
        "GD-0302-077,2026-02-30 10:00,燃气,某小区漏气".encode("gb18030"),
        message='"2026-02-30" 不是存在的日期',
        column="occurred_at",
        position=41,
    )
    city.reject(
        "penalties",
        "unit_mismatch",
        "陕市监处罚〔2026〕31号,91610132MA6U0KLX47,2 万 元整".encode(),
        message='"万 元整" 的单位未声明；接受：元, 万元',
        column="value",
        position=7,
    )
    city.reject(
        "iot-json",
        "future",
        b'{"id":"d-71","t":"2036-03-02T08:00:00+08:00","ppm":12}',
        message="发生时间 2036-03-02T08:00:00+08:00 晚于接收时间的容许范围 5 分钟",
        column="occurred_at",
        position=1,
    )
    city.signal(
        "gd-0302-090",
        feed=HOTLINE,
        kind="food.hygiene",
        text="好味餐馆后厨有老鼠",
        object=ObjectRef(name="好味餐馆"),
        resolution=Resolution(method="ambiguous", candidates=("o-3", "o-8")),
    )
    city.silence("penalties")


VALUES: dict[str, dict[str, float]] = {
    "gas-complaint-burst": {"gas__complaints_7d": 5, "gas__channels_7d": 2},
    "gas-repeat-offender": {"gas__penalties_1y": 2, "gas__failed_checks_90d": 1, "gas__fines_1y": 35000},
}


def take(folder: Path) -> None:
    """Serve the city and write the pictures into `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        city = City(Path(scratch))
        shown = seed(city)
        config = uvicorn.Config(city.asgi(), port=0, log_config=None)  # type: ignore[arg-type]  # the gate's scope is a plain dict
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            thread.join(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        pages = {
            "duty": "/",
            "warning": f"/warnings/{shown}",
            "object": "/objects/o-1",
            "unresolved": "/unresolved",
            "feeds": "/feeds",
            "rules": "/rules",
        }
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            for name, path in pages.items():
                token = "lead" if name == "warning" else "admin"
                view = chromium.new_page(
                    viewport={"width": WIDTH, "height": HEIGHT}, extra_http_headers={"Authorization": f"Bearer {token}"}
                )
                view.goto(f"http://127.0.0.1:{port}{path}")
                view.screenshot(
                    path=folder / f"console-{name}.png", clip={"x": 0, "y": 0, "width": WIDTH, "height": HEIGHTS[name]}, full_page=True
                )
            chromium.close()
        server.should_exit = True
        thread.join()
        city.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "docs" / "img")
