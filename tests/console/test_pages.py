"""The pages: who may open them, what they say, that nothing in them comes from elsewhere, and that a name cannot become markup."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from app.console.pages import console_router, login_page
from app.console.render import HERE, STATIC, environment
from app.settings import SHIPPED_PACKS
from domain.catalogue import Catalogue, CatalogueItem
from domain.messages import CATALOGUE
from domain.objects import Relation, Resolution
from domain.records import CatalogueEntry
from domain.signals import ObjectRef
from storage import intake_reads
from storage.durability import Durability, keep_durability
from tests.console.city import LEAD, PARTNER, VERIFIED, City, gas_company
from tests.console.conftest import Browser
from tests.console.html import Page

PAGES = ("/", "/live", "/inbox", "/unresolved", "/feeds", "/rules", "/objects/o-1")
ELSEWHERE = re.compile(r"https?:|(?<![:\w])//\w", re.IGNORECASE)


@pytest.fixture
def warning(city: City) -> str:
    """A gas warning that was pushed, on one signal, beside an overdue and an unrouted one, rejections and a refused rule set."""
    found = city.warn(evidence=[city.signal("s-1", text="楼道有煤气味", object=ObjectRef(id="o-1"))])
    city.warn("o-4", sector="hazardous-chemicals", level="red")
    city.warn("o-5", sector="prepaid", level="yellow")
    city.reject("hotline-12345", "bad_date", "编号,2026-02-30".encode("gb18030"), message="不是存在的日期", column="occurred_at")
    city.signal("s-2", object=ObjectRef(name="好味"), resolution=Resolution(method="ambiguous", candidates=("o-3",)))
    shutil.copy(SHIPPED_PACKS / "gas.yaml", city.rules)
    city.rulebook.start()
    (city.rules / "gas.yaml").write_text("pack: [", encoding="utf-8")
    city.rulebook.refresh()
    city.deliver()
    city.wait(minutes=40)
    return found


def opened(client: httpx.Client, path: str) -> Page:
    """Return a page that opens."""
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.text[:400])
    return Page(answer.text)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_opens_for_the_desk_in_both_languages(browser: Browser, warning: str, language: str) -> None:
    """All pages render, are well formed, name their language, and label everything that is filled in."""
    client = browser("admin")
    for path in (*PAGES, f"/warnings/{warning}"):
        answer = client.get(path, params={"lang": language})
        page = Page(answer.text)
        assert answer.status_code == 200
        if path != "/live":
            assert ("html", "lang", "en" if language == "en" else "zh-CN") in page.attributes
            assert ("main", "id", "main") in page.attributes
        assert {one for one, _ in page.controls} <= page.labels, path
        assert path != "/rules" or ("tbody", "id", "sector-gas") in page.attributes, "rules stand by their sectors"
        assert [
            value for tag, name, value in page.attributes if tag == "th" and name == "scope" and value not in {"col", "row", "rowgroup"}
        ] == []
    assert "console." not in page.text, "no key is shown instead of its sentence"


def test_a_language_is_remembered(browser: Browser) -> None:
    """Chosen once, it stays for the next page; Chinese is what nobody chose."""
    client = browser("duty")
    assert "值班台" in opened(client, "/").text
    assert "Duty desk" in opened(client, "/?lang=en").text
    assert "Duty desk" in opened(client, "/").text
    assert "值班台" in opened(client, "/?lang=zh").text


def test_nothing_in_a_page_comes_from_elsewhere(browser: Browser, warning: str) -> None:
    """No page, style or script names another host; no inline handler, style or script; a policy that says so."""
    client = browser("admin")
    for path in (*PAGES, f"/warnings/{warning}"):
        answer = client.get(path)
        assert not ELSEWHERE.search(answer.text), ELSEWHERE.search(answer.text)
        page = Page(answer.text)
        assert [one for one in page.attributes if one[1].startswith("on") or one[1] == "style"] == [], path
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert all(link.startswith(("/", "#")) for link in page.links)
        for tag, name, value in page.attributes:
            if name in {"src", "href"} and tag in {"script", "link"}:
                assert client.get(value).status_code == 200
    for name in ("console.css", "console.js", "login.css"):
        assert not ELSEWHERE.search((STATIC / name).read_text(encoding="utf-8")), name
    assert not ELSEWHERE.search(login_page().decode())


def test_static_files_may_be_kept(browser: Browser) -> None:
    """They carry their type and an address that changes with them; no other file is served, and to nobody without a credential."""
    client = browser("duty")
    style = client.get("/static/console.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in style.headers["cache-control"]
    assert client.get("/static/console.js").headers["content-type"] == "text/javascript; charset=utf-8"
    assert client.get("/static/login.css").status_code == 404
    assert client.get("/static/..%2frender.py").status_code == 404
    assert browser("").get("/static/console.css").status_code == 401


@pytest.mark.parametrize(
    ("who", "closed"),
    [
        ("lead", {"/unresolved", "/feeds"}),
        ("partner", {"/unresolved", "/feeds"}),
        ("auditor", set()),
        ("duty", set()),
        ("feed", set(PAGES)),
    ],
)
def test_pages_are_for_their_roles(browser: Browser, warning: str, who: str, closed: set[str]) -> None:
    """A department sees neither feeds nor confirm queue, a feed's credential opens no page; without any it is the login page, 401."""
    assert warning
    client, stranger = browser(who), browser("")
    for path in PAGES:
        assert client.get(path).status_code == (403 if path in closed else 200), path
        nobody = stranger.get(path)
        assert (nobody.status_code, "令牌" in nobody.text) == (401, True)


def test_a_foreign_warning_is_a_page_that_is_not_there(browser: Browser, warning: str) -> None:
    """404 with the same words as for an id that never was."""
    client = browser("other")
    hidden, absent = client.get(f"/warnings/{warning}"), client.get("/warnings/w-none")
    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert hidden.text.replace(warning, "w-none") == absent.text


def test_the_duty_page_shows_what_is_urgent(browser: Browser, warning: str) -> None:
    """Figures, unrouted ones on top, levels by name, countdowns that a script can carry on, the overdue one marked."""
    page = opened(browser("duty"), "/")
    rows = [link for link in page.links if link.startswith("/warnings/")]
    assert len(rows) == 3
    assert rows[0] != f"/warnings/{warning}"
    assert "待指定" in page.text
    assert "超时" in page.text
    assert ("span", "class", "level level-red") in page.attributes
    due = [value for tag, name, value in page.attributes if tag == "time" and name == "data-due"]
    assert len(due) == 3
    assert all(value.isdigit() for value in due)
    assert [f"/warnings/{warning}"] == [link for link in opened(browser("lead"), "/").links if link.startswith("/warnings/")]


def test_filters_work_without_a_script(browser: Browser, warning: str) -> None:
    """They are a plain form; each keeps what it names, and the form shows what was chosen."""
    client = browser("duty")
    links = opened(client, f"/?department={PARTNER}&level=orange").links
    assert [f"/warnings/{warning}"] == [link for link in links if link.startswith("/warnings/")]
    assert len([link for link in opened(client, "/?overdue=true").links if link.startswith("/warnings/")]) == 1
    assert "没有符合条件的预警" in opened(client, "/?status=closed").text
    assert client.get("/?overdue=perhaps").status_code == 400


def test_a_provisional_due_time_says_so(browser: Browser, city: City) -> None:
    """A limit in a year whose holidays are not announced bears 估."""
    city.clock.move_to(city.clock.now() + timedelta(days=670))
    found = city.warn("o-3", sector="food", level="blue")
    assert "估" in opened(browser("duty"), f"/warnings/{found}").text


def test_a_warning_s_page_tells_the_whole_story(browser: Browser, city: City, warning: str) -> None:
    """Score with its parts, evidence, both tasks with their track, the ladder, deliveries, trail and line of time."""
    city.answer("lead", warning, "receive")
    city.answer("lead", warning, "verify", **VERIFIED)
    text = opened(browser("duty"), f"/warnings/{warning}").text
    for word in ("长安燃气有限公司", "七日内多次燃气泄漏投诉", "城镇燃气管理条例 第三十五条", "燃气泄漏应急预案", "楼道有煤气味"):
        assert word in text, word
    for word in ("市住房和城乡建设局", "市市场监督管理局", "生成", "推送", "签收", "核查", "处置", "反馈", "审核", "办结"):
        assert word in text, word
    for word in ("催办督办阶梯", "链校验通过", "电话核实，现场有异味", "风险等级", "较大", "city-orange@1"):
        assert word in text, word


def test_no_page_words_a_level_as_a_public_alarm(browser: Browser, warning: str) -> None:
    """Levels are an internal grade: no colour alarm, nothing is 发布 but the sentence that says so."""
    for path in ("/", f"/warnings/{warning}", "/objects/o-1"):
        text = opened(browser("duty"), path).text
        assert "不是向社会发布的信息" in text
        assert not re.search(r"[红橙黄蓝]色预警|预警信号|发布预警|预警发布", text)


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def test_a_name_cannot_become_markup(browser: Browser, city: City) -> None:
    """Whatever a record, a registry, a catalogue or a person says is shown as text."""
    city.register(
        gas_company(id="o-x", name=EVIL, address=EVIL, labels=(EVIL,), aliases=(EVIL,), relations=(Relation(kind=EVIL, object_id="o-x"),))
    )
    item = CatalogueItem(slug="gas-operation", title=EVIL, sector="gas", lead=LEAD, basis=(EVIL,))
    city.send(CatalogueEntry(catalogue=Catalogue(version=2, items=(item,))))
    evidence = city.signal(EVIL, text=EVIL, object=ObjectRef(id="o-x"), unit=EVIL, value=1.0, feed="hotline")
    found = city.warn("o-x", evidence=[evidence])
    city.reject("hotline", "bad_value", EVIL.encode(), message=EVIL, column=EVIL)
    city.signal("s-9", text=EVIL, object=ObjectRef(name=EVIL), resolution=Resolution(method="ambiguous", candidates=("o-x",)))
    city.deliver()
    city.answer("lead", found, "report", text=EVIL)
    client = browser("admin")
    for path in ("/", "/inbox", "/feeds", "/objects/o-x", f"/warnings/{found}", f"/feeds?feed={EVIL}", f"/?status={EVIL}"):
        page = Page(client.get(path).text)
        assert [one for one in page.attributes if one[0] == "img" or one[1].startswith("on")] == [], path
        assert [one for one in page.attributes if one[0] == "script" and one[1] != "src" and one[1] != "defer"] == [], path
    assert EVIL in page.text or EVIL in Page(client.get(f"/warnings/{found}").text).text
    refused = client.post(f"/warnings/{found}", data={"action": EVIL, "operator": EVIL})
    assert refused.status_code == 422
    assert [one for one in Page(refused.text).attributes if one[0] == "img"] == []


def test_rules_show_a_refused_set_loudly(browser: Browser, warning: str) -> None:
    """The problem with file, line and column stands in an alert above the last good set."""
    assert warning
    page = opened(browser("lead"), "/rules")
    assert ("section", "role", "alert") in page.attributes
    assert re.search(r"gas\.yaml:\d+:\d+", page.text)
    assert "gas-complaint-burst" in page.text
    assert "从未命中" in page.text


def test_without_a_rule_set_the_duty_page_and_the_rules_page_say_so(browser: Browser, city: City) -> None:
    """Nothing is raised until a sound set is there: an alert on both pages and in what the script fetches, gone once it is mended."""
    (city.rules / "gas.yaml").write_text("pack: [", encoding="utf-8")
    city.rulebook.start()
    for path in ("/", "/live", "/rules"):
        page = opened(browser("duty"), path)
        assert "没有启用任何规则集" in page.text, path
        assert ("section", "role", "alert") in page.attributes
    assert "gas.yaml:1" in opened(browser("duty"), "/rules").text
    assert "No rule set is active" in opened(browser("lead"), "/?lang=en").text
    shutil.copy(SHIPPED_PACKS / "gas.yaml", city.rules)
    assert city.rulebook.refresh() == "activated"
    assert "没有启用任何规则集" not in opened(browser("duty"), "/").text
    (city.rules / "gas.yaml").write_text("pack: [", encoding="utf-8")
    city.rulebook.refresh()
    page = opened(browser("duty"), "/")
    assert "继续运行上一个可用的规则集" in page.text
    assert "/rules" in page.links


def test_a_mistyped_filter_in_an_address_is_refused(browser: Browser) -> None:
    """The page says which values there are instead of showing an empty list."""
    for path in ("/?status=opne", "/?level=redd", "/?status=closed&department=zhujan", "/feeds?status=opne", "/feeds?reason=bad-date"):
        answer = browser("duty").get(path)
        assert answer.status_code == 400, path
        assert "可取" in answer.text, path


def test_an_administrator_replays_and_dismisses(browser: Browser, city: City) -> None:
    """Dismissing settles a rejection; a replay that still fails says why and leaves it open; nobody else sees the buttons."""
    seq = city.reject("hotline-12345", "bad_date", "编号,2026-02-30".encode("gb18030"), message="不是存在的日期")
    assert [form for form in opened(browser("duty"), "/feeds").forms if "rejections/" in form.target] == []
    client = browser("admin")
    targets = [form.target for form in opened(client, "/feeds").forms if "rejections/" in form.target]
    assert [f"/feeds/rejections/{seq}/replay", f"/feeds/rejections/{seq}/dismiss"] == targets
    again = client.post(targets[0], data={"status": "open"})
    assert (again.status_code, "仍不能接收" in again.text) == (422, True)
    assert browser("duty").post(targets[1], data={}).status_code == 403
    done = client.post(targets[1], data={"status": "open"})
    assert (done.status_code, done.headers["location"]) == (303, "/feeds?status=open&done=dismissed")
    assert client.post(targets[1], data={}).status_code == 409
    assert client.post("/feeds/rejections/99999/dismiss", data={}).status_code == 404
    assert "已忽略" in opened(client, "/feeds?status=dismissed").text


def test_a_mended_record_goes_in(browser: Browser, city: City) -> None:
    """A record that its mapping reads now is journalled and its rejection settled with the number it got."""
    raw = b'{"device_id": "d-1", "ts": "2026-03-02 08:00:00", "metric": "gas_pct_lel", "reading": 12}'
    seq = city.reject("iot-json", "bad_header", raw, position=1)
    answer = browser("admin").post(f"/feeds/rejections/{seq}/replay", data={"feed": "iot-json"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/feeds?feed=iot-json&done=replayed")
    with city.database.read() as connection:
        settled = intake_reads.get_rejection(connection, seq)
        assert settled is not None
        taken = intake_reads.unresolved_signals(connection)
    assert settled.status == "replayed"
    assert [settled.replayed_seq] == [one.seq for one in taken]
    assert taken[0].entry.signal.kind == "gas.concentration"


def test_feeds_that_never_sent_stand_aside(browser: Browser, city: City) -> None:
    """They are folded away below those that did, each with its name."""
    city.signal("s-1", feed="hotline-12345")
    page = browser("duty").get("/feeds").text
    table, _, below = page.partition("</table>")
    assert "hotline-12345" in table
    assert "penalties" not in table
    assert f"从未报送 {len(city.mappings) - 1}" in below
    assert "行政处罚双公示" in below


def test_a_canonical_signal_is_replayed_from_the_page(browser: Browser, city: City) -> None:
    """What lay in the future when it came goes in once its time has come; before that the page says why not."""
    raw = (
        b'{"id": "n-1", "source": "iot", "kind": "gas.leak", "occurred_at": "2026-03-02T10:00:00+08:00", "object_id": "91610132MA6U0KLX47"}'
    )
    seq = city.reject("signals", "future", raw, position=1)
    client = browser("admin")
    [target] = [form.target for form in opened(client, "/feeds").forms if form.target.endswith("replay")]
    early = client.post(target, data={})
    assert (early.status_code, "仍不能接收" in early.text) == (422, True)
    city.wait(hours=2)
    assert client.post(target, data={}).status_code == 303
    with city.database.read() as connection:
        settled = intake_reads.get_rejection(connection, seq)
    assert settled is not None
    city.await_shown(settled.replayed_seq or 0)
    with city.database.read() as connection:
        [taken] = intake_reads.signals_of_object(connection, "o-1")
    assert (settled.status, settled.replayed_seq) == ("replayed", taken.seq)


def test_every_word_of_the_templates_is_in_the_catalogue() -> None:
    """A key that a template names exists; a page cannot fail for a word."""
    used = set[str]()
    for path in sorted((HERE / "templates").glob("*.html")):
        used |= set(re.findall(r"\bt\('([a-z_.]+)'", path.read_text(encoding="utf-8")))
        assert environment.get_template(path.name)
    assert used
    assert used <= set(CATALOGUE), used - set(CATALOGUE)


def test_every_route_declares_who_may_call_it() -> None:
    """A route without roles is open to nobody; none of the console's is left so."""
    routes = [route for route in Litestar([console_router()], openapi_config=None).routes if isinstance(route, HTTPRoute)]
    handlers = [handler for route in routes for handler in route.route_handlers]
    assert {"/", "/login", "/warnings/{warning_id:str}", "/answer/{token:str}"} <= {route.path for route in routes}
    assert all(handler.opt.get("roles") for handler in handlers if "OPTIONS" not in handler.http_methods)


def test_templates_never_switch_escaping_off_for_data() -> None:
    """`safe` is for our own styles and attributes only."""
    for path in sorted((HERE / "templates").glob("*.html")):
        for found in re.findall(r"\{\{([^}]*\|\s*safe[^}]*)\}\}", path.read_text(encoding="utf-8")):
            assert re.fullmatch(r"\s*style \| safe\s*|\s*' [\w-]+=\"\w+\"' \| safe if .*", found), (path.name, found)


def test_the_page_of_an_object(browser: Browser, city: City) -> None:
    """Registry entry with the check of its code, relations as links, signals in pages, scores of what the reader may see."""
    for n in range(55):
        city.signal(f"s-{n}", text=f"第{n}条", object=ObjectRef(id="o-1"), occurred_at=city.clock.now() - timedelta(hours=n))
    found = city.warn()
    page = opened(browser("lead"), "/objects/o-1")
    assert "校验通过" in page.text
    assert {"/objects/o-2", f"/warnings/{found}"} <= set(page.links)
    older = next(link for link in page.links if "after=" in link)
    assert "第54条" in opened(browser("lead"), older).text
    assert "第54条" not in page.text
    assert f"/warnings/{found}" not in opened(browser("other"), "/objects/o-1").links
    assert browser("lead").get("/objects/o-none").status_code == 404


def test_the_duty_page_says_that_a_clusters_log_is_kept_less_safely(browser: Browser, city: City) -> None:
    """The duty desk sees it on top, a department does not; where nobody reduced anything there is nothing to say."""
    for kept, told in ((Durability(replicas=3, in_sync=2), False), (Durability(replicas=3, in_sync=1), True)):
        with city.database.write() as connection:
            keep_durability(connection, kept)
        assert ("持久性降低" in opened(browser("duty"), "/").text) is told
        assert "持久性降低" not in opened(browser("lead"), "/").text


def test_pictures_of_the_documents_are_light() -> None:
    """The five pictures are there and none is over 300 kB."""
    folder = Path(__file__).parents[2] / "docs" / "img"
    for name in ("duty", "warning", "object", "feeds", "rules"):
        assert 10_000 < (folder / f"console-{name}.png").stat().st_size < 300_000
