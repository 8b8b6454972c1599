"""Answers given on a warning's page: legal actions only, refusals that keep what was typed, and each answer once."""

from __future__ import annotations

import pytest

from app.views.warning import story
from domain.tasks import Stage, Task
from storage import obligations
from tests.console.city import FED_BACK, HANDLED, LEAD, OTHER, PARTNER, TOKENS, VERIFIED, City
from tests.console.conftest import Browser
from tests.console.html import Page


@pytest.fixture
def warning(city: City) -> str:
    """A gas warning that reached its lead."""
    found = city.warn()
    city.deliver()
    return found


def fill(page: Page, action: str, task: str | None = None, **answers: object) -> tuple[str, dict[str, str]]:
    """Return where the form of an action goes, and what it says once it is filled in."""
    form = page.form(action, task)
    told = dict(form.fields)
    for name, value in answers.items():
        field = name if name in form.fields else f"f.{name}"
        assert field in form.fields, (field, form.fields)
        told[field] = "\n".join(value) if isinstance(value, list) else str(value)
    return form.target, told


def stage_of(city: City, warning: str, department: str) -> Stage:
    """Return where a department's newest task stands."""
    return task_of(city, warning, department).stage


def task_of(city: City, warning: str, department: str) -> Task:
    """Return a department's newest task."""
    identity = city.task_of(warning, department)
    with city.database.read() as connection:
        return obligations.get_task(connection, identity)


@pytest.mark.parametrize("who", ["lead", "lead-head", "partner", "duty", "auditor", "admin"])
def test_a_page_offers_exactly_what_is_legal(browser: Browser, city: City, warning: str, who: str) -> None:
    """Form by form, for each reader and at each stage: what `dispatch` allows him, nothing else, on the right task."""
    steps = [("receive", {}), ("verify", VERIFIED), ("handle", HANDLED), ("feed_back", FED_BACK)]
    for action, form in [*steps, ("", {})]:
        page = Page(browser(who).get(f"/warnings/{warning}").text)
        with city.database.read() as connection:
            told = story(connection, TOKENS[who], warning, city.clock.now())
        wanted = {(task.id, one.value) for task in told.tasks for one in task.actions} | {("", one.value) for one in told.actions}
        assert wanted == {(one.fields["task"], one.fields["action"]) for one in page.forms if "action" in one.fields}
        if action:
            city.answer("lead", warning, action, **form)


def test_a_department_answers_step_by_step(browser: Browser, city: City, warning: str) -> None:
    """Each form posted brings the next; the reply leads back to the task, the duty loop is told, the trail names the person."""
    client = browser("lead")
    for action, form in (("receive", {}), ("verify", VERIFIED), ("handle", HANDLED), ("feed_back", FED_BACK)):
        page = Page(client.get(f"/warnings/{warning}").text)
        target, told = fill(page, action, operator="张三", **form)
        answer = client.post(target, data=told)
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith(f"/warnings/{warning}?done={action}#task-")
        assert "已记录" in client.get(answer.headers["location"]).text
    assert stage_of(city, warning, LEAD) is Stage.FED_BACK
    assert city.nudged == 4
    with city.database.read() as connection:
        told_story = story(connection, TOKENS["duty"], warning, city.clock.now())
    assert "张三" in told_story.tasks[0].handlers
    assert told_story.tasks[0].evidence == ("照片 12 张",)


def test_a_refused_answer_keeps_what_was_typed(browser: Browser, city: City, warning: str) -> None:
    """The page comes back with the reason on top and the form as it was filled in."""
    client = browser("lead")
    city.answer("lead", warning, "receive")
    target, told = fill(Page(client.get(f"/warnings/{warning}").text), "verify", finding="unfounded", means="phone", facts="查无异常")
    answer = client.post(target, data=told)
    page = Page(answer.text)
    assert answer.status_code == 422
    assert "不属实或无法核实的原因" in page.text
    assert ("p", "role", "alert") in page.attributes
    assert "查无异常" in page.text
    assert ("option", "selected", "") in page.attributes
    assert stage_of(city, warning, LEAD) is Stage.RECEIVED
    with city.database.read() as connection:
        assert "refused" in [one.what for one in story(connection, TOKENS["duty"], warning, city.clock.now()).audit]


def test_a_second_click_changes_nothing(browser: Browser, city: City, warning: str) -> None:
    """The same form posted twice is one answer."""
    client = browser("lead")
    target, told = fill(Page(client.get(f"/warnings/{warning}").text), "receive")
    assert [client.post(target, data=told).status_code for _ in range(2)] == [303, 303]
    with city.database.read() as connection:
        trail = [one.what for one in story(connection, TOKENS["duty"], warning, city.clock.now()).audit]
    assert trail.count("receive") == 1


def test_a_page_that_is_out_of_date_is_noticed(browser: Browser, city: City, warning: str) -> None:
    """Somebody else was quicker: 409 and the present state, nothing is overwritten."""
    client = browser("lead")
    page = Page(client.get(f"/warnings/{warning}").text)
    target, told = fill(page, "return", reason="not_our_power", basis="三定方案")
    city.answer("lead", warning, "receive")
    answer = client.post(target, data=told)
    assert answer.status_code == 409
    assert stage_of(city, warning, LEAD) is Stage.RECEIVED
    assert "receive" not in Page(answer.text).actions()


@pytest.mark.parametrize("action", ["accept", "withdraw", "supervise", "deliver", "no-such-action"])
def test_a_forged_action_is_refused(browser: Browser, city: City, warning: str, action: str) -> None:
    """What the page does not offer cannot be posted either."""
    answer = browser("lead").post(f"/warnings/{warning}", data={"action": action, "task": city.task_of(warning, LEAD), "f.reason": "x"})
    assert answer.status_code == 422
    assert stage_of(city, warning, LEAD) is Stage.PUSHED


def test_a_foreign_task_is_not_there(browser: Browser, city: City, warning: str) -> None:
    """A cooperating department cannot answer the lead's task, nor a stranger any."""
    told = {"action": "receive", "task": city.task_of(warning, LEAD), "version": "2"}
    assert browser("other").post(f"/warnings/{warning}", data=told).status_code == 404
    assert browser("partner").post(f"/warnings/{warning}", data=told).status_code == 404
    assert stage_of(city, warning, LEAD) is Stage.PUSHED


def test_the_desk_designates_an_unrouted_warning(browser: Browser, city: City) -> None:
    """The form lists the departments of the directory; afterwards the named one has the task."""
    found = city.warn("o-5", sector="prepaid", level="yellow")
    client = browser("duty")
    page = Page(client.get(f"/warnings/{found}").text)
    assert {"designate", "withdraw"} == page.actions()
    target, told = fill(page, "designate", department=PARTNER, reason="预付卡由市场监管部门办理")
    assert client.post(target, data=told).status_code == 303
    assert stage_of(city, found, PARTNER) is Stage.GENERATED


def test_a_review_closes_the_warning(browser: Browser, city: City) -> None:
    """The desk accepts the last feedback with a leader's signature; without it the page says what is missing."""
    found = city.warn("o-4", sector="hazardous-chemicals", level="orange")
    city.deliver()
    for action, form in (("receive", {}), ("verify", VERIFIED), ("handle", HANDLED), ("feed_back", FED_BACK)):
        city.answer("other", found, action, **form)
    client, task = browser("duty"), city.task_of(found, OTHER)
    page = Page(client.get(f"/warnings/{found}").text)
    target, told = fill(page, "accept", task)
    assert (client.post(target, data=told).status_code, stage_of(city, found, OTHER)) == (422, Stage.FED_BACK)
    target, told = fill(page, "accept", task, signed_by="李局长")
    assert client.post(target, data=told).status_code == 303
    closed = Page(client.get(f"/warnings/{found}").text)
    assert "属实已处置" in closed.text
    assert {"reopen"} == closed.actions()


def test_forms_speak_english_too(browser: Browser, warning: str) -> None:
    """Titles and choices of a form follow the reader's language; the values that are sent stay the same."""
    page = Page(browser("lead").get(f"/warnings/{warning}?lang=en").text)
    assert "not our power" in page.text
    assert "comparing data" in page.text
    assert "核查方式" not in page.text
    assert ("option", "value", "not_our_power") in page.attributes


def test_numbers_and_lists_are_read_as_such(browser: Browser, city: City, warning: str) -> None:
    """Lines of a list become its entries; blank ones are none."""
    city.answer("lead", warning, "receive")
    city.answer("lead", warning, "verify", **VERIFIED)
    client = browser("lead")
    target, told = fill(Page(client.get(f"/warnings/{warning}").text), "handle", measure="停气", proof=["照片1", "", "  文书2  "])
    assert client.post(target, data=told).status_code == 303
    assert task_of(city, warning, LEAD).answers["handle"]["proof"] == ["照片1", "文书2"]
