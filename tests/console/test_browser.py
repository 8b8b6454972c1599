"""The pages in a real browser: cookie, policy, script and forms together."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from domain.objects import Resolution
from domain.signals import ObjectRef
from domain.tasks import Stage
from tests.console.city import HANDLED, LEAD, VERIFIED, City
from tests.console.screenshots import FLAGS
from tests.console.test_answering import stage_of

pytestmark = pytest.mark.service("chromium")


@pytest.fixture
def home(city: City) -> Iterator[str]:
    """The console on a socket."""
    server = uvicorn.Server(uvicorn.Config(city.asgi(), port=0, log_config=None))  # type: ignore[arg-type]  # the gate's scope is a plain dict
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


def signed_in(chromium: Browser, address: str, token: str) -> tuple[Page, list[str]]:
    """Return a page after signing in at an address, and the list in which what the browser complains of is kept."""
    page, complaints = chromium.new_page(), list[str]()
    page.goto(address)
    page.fill("#token", token)
    page.click("button")
    page.wait_for_selector("header nav")
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page, complaints


def test_a_handler_signs_in_answers_and_signs_out(city: City, home: str, chromium: Browser) -> None:
    """From the link in a message over the login to the answer; a question that depends on another appears with it."""
    warning = city.warn()
    city.deliver()
    city.answer("lead", warning, "receive")
    city.answer("lead", warning, "verify", **VERIFIED)
    city.answer("lead", warning, "handle", **HANDLED)
    page, complaints = signed_in(chromium, f"{home}/warnings/{warning}", "lead")
    assert page.url == f"{home}/warnings/{warning}"
    follow_up = page.locator("section.step [name='f.follow_up']")
    follow_up.wait_for(state="hidden")  # the script of the page is as quick as the machine
    page.fill("section.step [name='f.result']", "已停气")
    page.select_option("section.step [name='f.verdict']", "tracking")
    follow_up.fill("三十日内整改")
    page.click("section.step button.main")
    page.wait_for_selector(".done")
    assert stage_of(city, warning, LEAD) is Stage.FED_BACK
    assert complaints == []
    page.click("text=退出")
    page.wait_for_selector("#token")
    page.close()


def test_the_table_follows_the_city(city: City, home: str, chromium: Browser) -> None:
    """A new warning appears without a reload, the countdown is the server's, and a pause holds the table still."""
    page, complaints = signed_in(chromium, home, "duty")
    assert page.locator("#live tbody a").count() == 0
    warning = city.warn()
    page.wait_for_selector(f"#w-{warning}", timeout=120_000)
    assert "剩 1小时59分" in page.inner_text("time[data-due]") or "剩 2小时0分" in page.inner_text("time[data-due]")
    page.click("#pause")
    assert page.get_attribute("#pause", "aria-pressed") == "true"
    assert complaints == []
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_its_window(city: City, home: str, chromium: Browser, width: int) -> None:
    """On a phone and on a desk nothing but a table scrolls sideways."""
    warning = city.warn(evidence=[city.signal("s-1", text="楼道有煤气味" * 20)])
    city.reject("hotline-12345", "bad_date", b"x" * 900, message="不是存在的日期")
    city.signal("s-2", text="w" * 300, object=ObjectRef(name="某" * 120, code="9" * 40), resolution=Resolution())
    page = chromium.new_page(viewport={"width": width, "height": 800}, extra_http_headers={"Authorization": "Bearer admin"})
    for path in ("/", f"/warnings/{warning}", "/objects/o-1", "/unresolved", "/feeds", "/rules", "/inbox"):
        page.goto(home + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.close()
