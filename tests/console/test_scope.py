"""Who sees what: own, other and cooperating departments, the duty desk, auditors, holders of links."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.views.duty import duty_figures
from app.views.objects import object_page
from app.views.warning import canonical, list_warnings, live_warnings, story
from domain.errors import NotFound
from domain.principals import Principal
from domain.signals import ObjectRef
from tests.console.city import LEAD, OTHER, PARTNER, TOKENS, City

SECRET = "举报人留有联系方式"


@pytest.fixture
def gas(city: City) -> str:
    """A gas warning led by one department with another cooperating, on an open and a restricted signal."""
    open_one = city.signal("s-1", text="楼道有煤气味", object=ObjectRef(id="o-1"))
    restricted = city.signal("s-2", text=SECRET, object=ObjectRef(id="o-1"), confidential="restricted")
    return city.warn(evidence=[open_one, restricted])


def ids(city: City, who: str, **filters: object) -> list[str]:
    """Return the warnings in a list as one person sees it."""
    with city.database.read() as connection:
        page = list_warnings(connection, TOKENS[who], city.clock.now(), **filters)  # type: ignore[arg-type]  # filters by name
    return [one.id for one in page.warnings]


@pytest.mark.parametrize("who", ["admin", "duty", "auditor", "lead", "lead-head", "partner"])
def test_the_desk_and_the_departments_with_a_task_see_a_warning(city: City, gas: str, who: str) -> None:
    """Whoever has a part in it, or oversees all, finds it in the list and by its id."""
    assert [gas] == ids(city, who)
    with city.database.read() as connection:
        assert gas == canonical(connection, TOKENS[who], gas).id


@pytest.mark.parametrize("who", ["other", "feed"])
def test_others_learn_nothing_of_a_warning_not_even_that_it_is_there(city: City, gas: str, who: str) -> None:
    """An invisible warning and one that does not exist are refused in the same words, and lists leave it out."""
    assert ids(city, who) == []
    with city.database.read() as connection:
        for ask in (canonical, lambda c, p, w: story(c, p, w, city.clock.now())):
            with pytest.raises(NotFound) as invisible:
                ask(connection, TOKENS[who], gas)
            with pytest.raises(NotFound) as absent:
                ask(connection, TOKENS[who], "w-none")
            assert str(absent.value).replace("w-none", gas) == str(invisible.value)


def test_a_department_without_a_name_sees_nothing(city: City, gas: str) -> None:
    """A credential that was made without its department opens no warning."""
    with city.database.read() as connection:
        page = list_warnings(connection, Principal(name="x", role="department"), city.clock.now())
        with pytest.raises(NotFound):
            canonical(connection, Principal(name="x", role="department"), gas)
    assert page.warnings == ()


def test_a_cooperating_department_sees_its_own_part_only(city: City, gas: str) -> None:
    """It sees its task, its messages and its entries of the trail; the lead's doings are the lead's."""
    city.deliver()
    city.answer("lead", gas, "receive")
    with city.database.read() as connection:
        mine = story(connection, TOKENS["partner"], gas, city.clock.now())
        whole = story(connection, TOKENS["lead"], gas, city.clock.now())
    assert [task.department for task in mine.tasks] == [PARTNER]
    assert [task.department for task in whole.tasks] == [LEAD, PARTNER]
    assert {PARTNER} == {one.recipient for one in mine.deliveries}
    assert not mine.whole
    lead_task = city.task_of(gas, LEAD)
    assert not [one for one in mine.audit if one.detail.get("task") == lead_task]
    assert [one for one in whole.audit if one.detail.get("task") == lead_task]
    assert "" == mine.chain == whole.chain, "the chain is checked over all entries, also where a part is shown"


def test_restricted_texts_are_for_the_lead_and_the_desk(city: City, gas: str) -> None:
    """A cooperating department gets the signal without its text, everywhere: story, canonical form, line of time, object page."""
    with city.database.read() as connection:
        for who, reads in (("lead", True), ("duty", True), ("auditor", True), ("partner", False)):
            told = story(connection, TOKENS[who], gas, city.clock.now())
            texts = [one.text for one in told.evidence] + [one.text for one in told.warning.evidence] + [one.text for one in told.timeline]
            assert reads == (SECRET in texts), who
            assert "楼道有煤气味" in texts
            assert (not reads) == told.evidence[1].hidden
        for who, reads in (("duty", True), ("partner", False), ("lead", False)):
            page = object_page(connection, TOKENS[who], "o-1")
            assert reads == (SECRET in [one.text for one in page.signals]), who


def test_a_department_keeps_sight_of_what_it_gave_back(city: City, gas: str) -> None:
    """After a return it still sees the warning, and of it only its own past task."""
    city.deliver()
    city.answer("lead", gas, "return", reason="not_our_power", basis="三定方案")
    city.answer("duty", gas, "designate", task=city.task_of(gas, LEAD), department=OTHER, reason="属应急职责")
    assert [gas] == ids(city, "lead")
    assert [gas] == ids(city, "other")
    with city.database.read() as connection:
        past = story(connection, TOKENS["lead"], gas, city.clock.now())
    assert [task.department for task in past.tasks] == [LEAD]


def test_a_task_force_sees_what_it_was_told_of(city: City, gas: str) -> None:
    """It has no task; a rung that reached it opens the whole warning to it."""
    city.deliver()
    assert ids(city, "force") == []
    city.wait(hours=30)
    assert [gas] == ids(city, "force")
    with city.database.read() as connection:
        assert story(connection, TOKENS["force"], gas, city.clock.now()).whole


def test_a_link_shows_one_task(city: City, gas: str) -> None:
    """Its holder sees the task it was made for and no other warning."""
    other = city.warn("o-3", sector="food", level="yellow")
    holder = Principal(name="link:x", role="link", department=LEAD, task_id=city.task_of(gas, LEAD), via="link")
    with city.database.read() as connection:
        told = story(connection, holder, gas, city.clock.now())
        with pytest.raises(NotFound):
            story(connection, holder, other, city.clock.now())
    assert [city.task_of(gas, LEAD)] == [task.id for task in told.tasks]
    assert told.evidence[1].hidden


def test_an_object_shows_warnings_in_scope_only(city: City, gas: str) -> None:
    """Everybody who reads sees the registry's data, but a foreign department no warning about it."""
    with city.database.read() as connection:
        assert [gas] == [one.id for one in object_page(connection, TOKENS["partner"], "o-1").open_warnings]
        foreign = object_page(connection, TOKENS["other"], "o-1")
    assert (foreign.object.name, foreign.open_warnings, foreign.former_warnings) == (("长安燃气有限公司", (), ()))


@pytest.mark.usefixtures("gas")
def test_figures_are_in_scope(city: City) -> None:
    """A department's figures count its own; what stands at the desk, in the outbox and in feeds is not told to it."""
    city.warn("o-4", sector="hazardous-chemicals", level="red")
    with city.database.read() as connection:
        own = duty_figures(connection, TOKENS["partner"], city.clock.now())
        everything = duty_figures(connection, TOKENS["duty"], city.clock.now())
    assert own.open_by_level == {"orange": 1}
    assert everything.open_by_level == {"orange": 1, "red": 1}
    assert [one.department for one in own.departments] == [PARTNER]
    assert (own.unresolved, own.deliveries_dead, own.feeds_silent) == (None, None, None)


@pytest.mark.usefixtures("gas")
def test_a_due_time_is_of_what_the_asker_may_see(city: City) -> None:
    """The lead's receive clock is no business of the cooperating department; each counts down to its own."""
    city.deliver()  # the lead has it, the partner's inbox was not opened yet
    city.wait(minutes=30)
    with city.database.read() as connection:
        lead = live_warnings(connection, TOKENS["lead"], city.clock.now())[0]
        partner = live_warnings(connection, TOKENS["partner"], city.clock.now())[0]
    assert partner.due_kind == "push"
    assert lead.due_at is not None
    assert partner.due_at is not None
    assert partner.seconds == int((partner.due_at - city.clock.now()).total_seconds()) == int(timedelta(minutes=90).total_seconds())


def test_filtering_by_a_third_department_reveals_nothing(city: City, gas: str) -> None:
    """A cooperating department that asks for another's warnings finds those which that one leads, as it is told anyway."""
    assert [gas] == ids(city, "partner", department=LEAD)
    assert ids(city, "partner", department=OTHER) == []
    assert [gas] == ids(city, "lead", department=PARTNER)
    assert [gas] == ids(city, "duty", department=PARTNER)
