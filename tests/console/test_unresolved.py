"""The confirm queue: what a signal may be about, with how sure that is, and the decision of whoever may make it."""

from __future__ import annotations

import pytest

from domain.objects import Resolution
from domain.records import ResolutionEntry
from domain.signals import ObjectRef
from storage import intake_reads
from tests.connectors.senders import uscc
from tests.console.city import City
from tests.console.conftest import Browser
from tests.console.html import Page
from tests.console.test_sessions import HOME, signed_in
from tests.factories import make_object

AMBIGUOUS = Resolution(method="ambiguous", candidates=("o-4", "o-5"))


@pytest.fixture
def waiting(city: City) -> int:
    """A complaint about a name that two restaurants have; return its number."""
    city.register(
        make_object(id="o-4", name="老味面馆", code="91610132MA6U00001H", address="科技路 9 号"),
        make_object(id="o-5", name="老味面馆（个体工商户）", type="individual_business"),
    )
    return city.signal("s-1", kind="food.hygiene", text="后厨有老鼠", object=ObjectRef(name="老味面馆"), resolution=AMBIGUOUS)[0]


def queue(city: City) -> list[int]:
    """Return the numbers of the signals that wait."""
    with city.database.read() as connection:
        return [one.seq for one in intake_reads.unresolved_signals(connection)]


def said(city: City) -> list[tuple[str, str, str]]:
    """Return (signal, object, who) of every decision in the journal."""
    journal = city.journal.read(0)
    return [(one.entry.signal_id, one.entry.object_id, one.entry.by) for one in journal if isinstance(one.entry, ResolutionEntry)]


def test_the_queue_shows_candidates_with_method_and_confidence(browser: Browser, waiting: int) -> None:
    """Two of the same name share the certainty of a name; each is one click, and the page is reached from the duty page."""
    client = browser("duty")
    assert "/unresolved" in Page(client.get("/").text).links
    page = Page(client.get("/unresolved").text)
    assert page.text.count("名称相同 · 可信度 47%") == 2
    assert "多个候选" in page.text
    offered = [form.fields for form in page.forms if form.target == f"/unresolved/{waiting}"]
    assert [one.get("object", one.get("none")) for one in offered] == ["o-4", "o-5", "yes"]


def test_a_click_confirms_and_the_signal_counts_there(browser: Browser, city: City, waiting: int) -> None:
    """It leaves the queue, stands on the object's page, and the journal says who decided."""
    client = browser("")
    signed_in(client, "duty")
    answer = client.post(f"/unresolved/{waiting}", data={"object": "o-4", "after": ""}, headers={"origin": HOME})
    assert (answer.status_code, answer.headers["location"]) == (303, "/unresolved?done=confirmed")
    assert "已确认对象" in client.get("/unresolved?done=confirmed").text
    assert queue(city) == []
    assert said(city) == [("s-1", "o-4", "值班员王")]
    assert "后厨有老鼠" in client.get("/objects/o-4").text
    again = client.post(f"/unresolved/{waiting}", data={"object": "o-5"}, headers={"origin": HOME})
    assert (again.status_code, "已有人处理" in again.text) == (409, True)


def test_none_of_the_registered_objects_is_an_answer(browser: Browser, city: City, waiting: int) -> None:
    """The signal leaves the queue and counts nowhere; an object named later by API still brings it back to count."""
    answer = browser("admin").post(f"/unresolved/{waiting}", data={"none": "yes"})
    assert answer.headers["location"] == "/unresolved?done=none"
    assert queue(city) == []
    assert said(city) == [("s-1", "", "张敏")]
    with city.database.read() as connection:
        assert intake_reads.count_unresolved(connection) == 0
        assert intake_reads.signals_of_object(connection, "o-4") == []


def test_a_search_finds_the_object_that_no_rule_found(browser: Browser, city: City) -> None:
    """By part of a name, by code or by id; a name that fits nothing says so."""
    seq, _ = city.signal("s-2", object=ObjectRef(name="长燃"), resolution=Resolution())
    client = browser("duty")
    assert "没有候选对象" in client.get("/unresolved").text
    for words in ("长安", "91610132MA6U0KLX47", "o-1"):
        page = Page(client.get(f"/unresolved?searched={seq}&words={words}").text)
        assert "o-1" in [form.fields.get("object") for form in page.forms], words
    assert "名录中没有" in client.get(f"/unresolved?searched={seq}&words=%25").text
    assert client.post(f"/unresolved/{seq}", data={"object": "o-1"}).status_code == 303
    assert queue(city) == []


def test_an_object_that_was_registered_later_stands_on_top(browser: Browser, city: City) -> None:
    """The registry is asked again when the page is shown."""
    city.signal("s-3", object=ObjectRef(name="新开燃气站"), resolution=Resolution())
    city.register(make_object(id="o-9", name="新开燃气站"))
    page = Page(browser("duty").get("/unresolved").text)
    assert "名称相同 · 可信度 95%" in page.text
    assert "/objects/o-9" in page.links


@pytest.mark.parametrize("data", [{}, {"object": ""}, {"object": "o-4", "none": "yes"}, {"object": "o-none"}])
def test_half_an_answer_changes_nothing(browser: Browser, city: City, waiting: int, data: dict[str, str]) -> None:
    """Nothing chosen, both chosen, or no such object: refused with a sentence."""
    assert browser("duty").post(f"/unresolved/{waiting}", data=data).status_code in {404, 422}
    assert queue(city) == [waiting]


def test_only_the_duty_desk_decides_and_only_from_its_own_page(browser: Browser, city: City, waiting: int) -> None:
    """An auditor reads without buttons, a department sees nothing, and another site's form is refused."""
    auditor = Page(browser("auditor").get("/unresolved").text)
    assert "老味面馆" in auditor.text
    assert [form.target for form in auditor.forms if "unresolved/" in form.target] == []
    assert "就是它" not in auditor.text
    assert browser("lead").get("/unresolved").status_code == 403
    for who in ("auditor", "lead"):
        assert browser(who).post(f"/unresolved/{waiting}", data={"object": "o-4"}).status_code == 403
    client = browser("")
    signed_in(client, "duty")
    assert client.post(f"/unresolved/{waiting}", data={"object": "o-4"}, headers={"origin": "http://evil.test"}).status_code == 403
    assert client.post("/unresolved/99999", data={"object": "o-4"}, headers={"origin": HOME}).status_code == 404
    assert queue(city) == [waiting]


def test_a_wrong_check_digit_is_marked_wherever_its_signal_is_shown(browser: Browser, city: City) -> None:
    """A code that was taken as it stands is seen to be wrong wherever its signal is shown; a right one bears no mark."""
    right = uscc(77)
    wrong = right[:-1] + ("A" if right[-1] != "A" else "B")
    client = browser("duty")
    city.signal("c-1", object=ObjectRef(name="甲店", code=right), resolution=Resolution())
    assert "校验不符" not in client.get("/unresolved").text
    seq, entry = city.signal("c-2", object=ObjectRef(name="乙店", code=wrong), resolution=Resolution())
    assert client.get("/unresolved").text.count("校验不符") == 1
    before = client.get("/objects/o-1").text.count("校验不符")
    client.post(f"/unresolved/{seq}", data={"object": "o-1"})
    assert client.get("/objects/o-1").text.count("校验不符") == before + 1
    warning = city.warn("o-1", evidence=[(seq, entry)])
    assert client.get(f"/warnings/{warning}").text.count("校验不符") == 1


def test_a_long_queue_is_paged(browser: Browser, city: City) -> None:
    """Twenty to a page, newest first, and a decision leads back to the page it was made on."""
    seqs = [city.signal(f"q-{n}", object=ObjectRef(name=f"某店{n}"), resolution=Resolution())[0] for n in range(21)]
    client = browser("duty")
    first = Page(client.get("/unresolved").text)
    assert f"/unresolved?after=0.{seqs[1]}" in first.links
    second = Page(client.get(f"/unresolved?after=0.{seqs[1]}").text)
    assert [form.target for form in second.forms if form.method == "post" and "unresolved" in form.target] == [f"/unresolved/{seqs[0]}"]
    answer = client.post(f"/unresolved/{seqs[0]}", data={"none": "yes", "after": f"0.{seqs[1]}"})
    assert answer.headers["location"] == f"/unresolved?after=0.{seqs[1]}&done=none"
    assert client.get("/unresolved?after=oldest").status_code == 400


def test_signals_that_name_nobody_are_a_group_of_their_own(browser: Browser, city: City, waiting: int) -> None:
    """Street noise is not in a person's queue, whose first entries are those with candidates; its number is shown, a filter shows it."""
    late, _ = city.signal("n-1", kind="gas.leak", object=ObjectRef(code="91610132MA6U0KLX47X"), resolution=Resolution())
    noise, _ = city.signal("n-2", object=ObjectRef(address="科技路"), resolution=Resolution())
    client = browser("duty")

    def shown(query: str = "") -> list[int]:
        page = Page(client.get(f"/unresolved{query}").text)
        found = [form.target.rsplit("/", 1)[1] for form in page.forms if form.method == "post" and "/unresolved/" in form.target]
        return [int(seq) for seq in dict.fromkeys(found)]

    assert shown() == [waiting, late]
    assert shown("?named=0") == [noise]
    assert shown("?kind=gas.leak") == [late]
    assert shown("?feed=none") == []
    assert shown(f"?after=1.{waiting}") == [late]
    assert "另有 1 条" in client.get("/unresolved").text
    answer = client.post(f"/unresolved/{noise}", data={"none": "yes", "named": "0"})
    assert answer.headers["location"] == "/unresolved?named=0&done=none"
    with city.database.read() as connection:
        assert intake_reads.count_unresolved(connection) == intake_reads.count_unresolved(connection, named=True) == 2
