"""The page behind a one-time link: one task, one answer, one person who claims to act."""

from __future__ import annotations

import httpx
import pytest

from app.console.links import CLAIMED
from app.effects import LINK_LIFETIME
from app.views.warning import story
from domain.tasks import Stage
from tests.console.city import FED_BACK, HANDLED, LEAD, PARTNER, TOKENS, VERIFIED, City
from tests.console.conftest import Browser
from tests.console.html import Page
from tests.console.test_answering import fill, stage_of
from tests.console.test_sessions import signed_in


@pytest.fixture
def warning(city: City) -> str:
    """A gas warning that reached its lead."""
    found = city.warn(evidence=[city.signal("s-1", text="举报内容不出门")])
    city.deliver()
    return found


def test_a_link_leads_from_step_to_step(browser: Browser, city: City, warning: str) -> None:
    """Each answer uses its link up and leads to the next one, until nothing is left to do; no sign-in is needed."""
    client, path = browser(""), city.link(warning, LEAD)
    for action, form in (("receive", {}), ("verify", VERIFIED), ("handle", HANDLED)):
        page = Page(client.get(path).text)
        target, told = fill(page, action, operator="李四", **form)
        assert target == path.split("?")[0]
        answer = client.post(target, data=told)
        assert answer.status_code == 303, answer.text
        assert client.get(path).status_code == 404, "a link serves one answer"
        assert client.post(target, data=told).status_code == 404
        path = answer.headers["location"]
        assert "已记录" in client.get(path).text
    target, told = fill(Page(client.get(path).text), "feed_back", operator="李四", **FED_BACK)
    last = client.post(target, data=told)
    assert (last.status_code, "没有需要通过链接办理的步骤了" in last.text) == (200, True)
    assert Page(last.text).forms == []
    assert client.get(path).status_code == 404
    assert stage_of(city, warning, LEAD) is Stage.FED_BACK


def test_who_acts_is_recorded_as_a_claim(browser: Browser, city: City, warning: str) -> None:
    """The page asks for a name and will not do without; the trail says that a link's holder said so."""
    client, path = browser(""), city.link(warning, LEAD)
    page = Page(client.get(path).text)
    for name in ("", "   ", "张" * 61):
        target, told = fill(page, "receive", operator=name)
        answer = client.post(target, data=told)
        assert (answer.status_code, "请填写承办人姓名" in answer.text) == (422, True)
    target, told = fill(page, "receive", operator="  王 五 ")
    assert client.post(target, data=told).status_code == 303
    with city.database.read() as connection:
        told_story = story(connection, TOKENS["duty"], warning, city.clock.now())
    assert f"{CLAIMED}王 五" in [one.actor for one in told_story.audit if one.what == "receive"]


def test_a_link_shows_its_task_and_no_evidence(browser: Browser, city: City, warning: str) -> None:
    """It proves no person: what happened is said, complaints' texts, other departments and other pages are not."""
    client, path = browser(""), city.link(warning, LEAD)
    answer = client.get(path)
    page = Page(answer.text)
    assert "七日内" in page.text or "7 天内" in page.text
    assert "举报内容不出门" not in answer.text
    assert {"receive", "return", "report", "verify"} == page.actions()
    assert client.get(f"/warnings/{warning}").status_code == 401
    assert "'sha256-" in answer.headers["content-security-policy"]
    assert [one for one in page.attributes if one[0] == "script" or (one[0] == "link")] == []


def test_a_link_answers_no_other_task(browser: Browser, city: City, warning: str) -> None:
    """The task comes from the link, whatever the form says."""
    client, path = browser(""), city.link(warning, LEAD)
    told = fill(Page(client.get(path).text), "receive", operator="李四")[1] | {"task": city.task_of(warning, PARTNER)}
    client.post(path, data=told)
    assert stage_of(city, warning, PARTNER) is Stage.GENERATED
    assert stage_of(city, warning, LEAD) is Stage.RECEIVED


@pytest.mark.parametrize("action", ["accept", "withdraw", "supervise", "transfer", "nonsense"])
def test_a_link_is_for_handlers_actions(browser: Browser, city: City, warning: str, action: str) -> None:
    """Nothing that a superior decides can be done with it, and a refused answer does not use it up."""
    client, path = browser(""), city.link(warning, LEAD)
    answer = client.post(path, data={"action": action, "operator": "李四", "f.reason": "x"})
    assert answer.status_code == 422
    assert client.get(path).status_code == 200


def test_severe_warnings_need_a_sign_in(browser: Browser, city: City) -> None:
    """No link is sent for a red one; a link from before it turned red opens a page that says where to sign in, without a form."""
    found = city.warn("o-4", sector="hazardous-chemicals", level="red")
    city.deliver()
    client, path = browser(""), city.link(found, "yingji")
    answer = client.get(path)
    assert (answer.status_code, Page(answer.text).forms) == (403, [])
    assert f"/warnings/{found}" in Page(answer.text).links
    refused = client.post(path, data={"action": "receive", "operator": "李四"})
    assert refused.status_code == 403
    assert stage_of(city, found, "yingji") is Stage.PUSHED


def test_a_link_runs_out(browser: Browser, city: City, warning: str) -> None:
    """After its lifetime it opens nothing."""
    client, path = browser(""), city.link(warning, LEAD)
    city.clock.advance(LINK_LIFETIME)
    assert client.get(path).status_code == 404


def test_an_invented_link_opens_nothing(browser: Browser, city: City, warning: str) -> None:
    """Nor does one token with something behind it reach another page."""
    client = browser("")
    invented = client.get("/answer/AAAA")
    assert (invented.status_code, "此链接已用过或已失效" in invented.text) == (404, True)
    path = city.link(warning, LEAD)
    city.clock.advance(LINK_LIFETIME)
    assert client.get(path).content == invented.content, "whether it ever existed is not told"
    assert "此链接" not in client.get("/warnings/none").text
    path = city.link(warning, LEAD)
    assert client.get(f"{path}/../../warnings/{warning}").status_code in {401, 403, 404}
    assert client.get(f"{path}/more").status_code in {401, 404}
    signed_in(client, "duty")
    assert client.get("/answer/AAAA").content == invented.content, "nor is somebody who is signed in told that he may not"


def test_a_return_by_link_ends_it(browser: Browser, city: City, warning: str) -> None:
    """A returned task is no longer the department's: the page says that all is done."""
    client, path = browser(""), city.link(warning, LEAD)
    target, told = fill(Page(client.get(path).text), "return", operator="李四", reason="not_our_region", basis="属高新区")
    answer: httpx.Response = client.post(target, data=told)
    assert (answer.status_code, Page(answer.text).forms) == (200, [])
    assert stage_of(city, warning, LEAD) is Stage.RETURNED
