"""The inbox: looking at it is how a unit without an endpoint receives."""

from __future__ import annotations

import pytest

from app.views.ladder import RungView
from app.views.warning import story
from domain.tasks import Stage
from storage import outbox
from tests.console.city import LEAD, PARTNER, TOKENS, City
from tests.console.conftest import Browser
from tests.console.html import Page
from tests.console.test_answering import stage_of


def waiting(city: City, recipient: str) -> int:
    """Return how many messages wait in an inbox."""
    with city.database.read() as connection:
        return len(outbox.inbox(connection, [recipient]))


def force_rungs(city: City, warning: str) -> list[RungView]:
    """Return the rungs that were issued to the task force."""
    with city.database.read() as connection:
        rungs = story(connection, TOKENS["duty"], warning, city.clock.now()).rungs
    return [one for one in rungs if one.role == "task_force" and one.issued_at]


def test_looking_receives(browser: Browser, city: City) -> None:
    """The task is pushed from that moment, the trail knows who looked, and a second look shows the message as read."""
    found = city.warn()
    assert (stage_of(city, found, PARTNER), waiting(city, PARTNER)) == (Stage.GENERATED, 1)
    city.wait(minutes=20)
    page = Page(browser("partner").get("/inbox").text)
    assert f"/warnings/{found}" in page.links
    assert ("li", "class", "new") in page.attributes
    assert (stage_of(city, found, PARTNER), waiting(city, PARTNER)) == (Stage.PUSHED, 0)
    with city.database.read() as connection:
        told = story(connection, TOKENS["partner"], found, city.clock.now())
    assert [(one.n, one.status, one.detail) for one in told.deliveries[0].attempts] == [(1, 200, "inbox:市监局经办")]
    assert city.clock.now() == told.deliveries[0].delivered_at
    assert city.nudged == 1
    again = Page(browser("partner").get("/inbox").text)
    assert ("li", "class", "new") not in again.attributes
    assert f"/warnings/{found}" in again.links
    assert city.nudged == 1


@pytest.mark.parametrize("who", ["admin", "auditor", "other", "lead"])
def test_nobody_receives_for_another(browser: Browser, city: City, who: str) -> None:
    """Neither an administrator who looks in nor another department makes a task pushed."""
    found = city.warn()
    assert browser(who).get("/inbox").status_code == 200
    assert (stage_of(city, found, PARTNER), waiting(city, PARTNER)) == (Stage.GENERATED, 1)


def test_the_duty_officer_receives_for_the_desk(browser: Browser, city: City) -> None:
    """Messages to the desk stand there; an unrouted warning among them."""
    found = city.warn("o-5", sector="prepaid", level="yellow")
    assert waiting(city, "zhibantai") == 1
    page = Page(browser("duty").get("/inbox").text)
    assert "待指定办理单位" in page.text
    assert f"/warnings/{found}" in page.links
    assert waiting(city, "zhibantai") == 0


def test_a_rung_is_delivered_by_looking(browser: Browser, city: City) -> None:
    """A task force without an endpoint has been told once it looked; the ladder shows when."""
    found = city.warn()
    city.deliver()
    city.wait(hours=30)
    assert {one.state for one in force_rungs(city, found)} == {"issued"}
    assert "报送" in Page(browser("force").get("/inbox").text).text
    assert {one.delivered_at for one in force_rungs(city, found)} == {city.clock.now()}


def test_an_inbox_shows_one_s_own_messages(browser: Browser, city: City) -> None:
    """Departments read what they were told, not what others were."""
    city.warn()
    text = Page(browser("lead").get("/inbox").text).text
    assert "作为牵头单位办理" in text
    assert "作为配合单位核查" not in text
    assert "没有消息" in Page(browser("other").get("/inbox").text).text
    assert waiting(city, LEAD) == 0
