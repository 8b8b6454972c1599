"""What the read models say: lists, stories, ladders, objects, feeds, rules, figures and gauges."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from sqlalchemy import event, update

from app.metrics import GAUGES, Metrics
from app.settings import SHIPPED_PACKS
from app.views.duty import duty_figures, samples
from app.views.feeds import excerpt, feeds_page
from app.views.objects import object_page
from app.views.rules import rules_page
from app.views.warning import canonical, list_warnings, live_warnings, story
from domain.errors import NotFound
from domain.objects import Resolution
from domain.signals import ObjectRef
from storage.duty_tables import audit
from tests.console.city import FED_BACK, HANDLED, LEAD, OTHER, PARTNER, TOKENS, VERIFIED, City

DUTY = TOKENS["duty"]


def test_the_line_of_a_warning(city: City) -> None:
    """It names subject, matter and departments, its stage is the lead task's, and it counts down to the next clock."""
    warning = city.warn()
    city.deliver()
    city.answer("lead", warning, "receive")
    with city.database.read() as connection:
        line = live_warnings(connection, DUTY, city.clock.now())[0]
    assert (line.subject_name, line.matter_title, line.lead_name) == ("长安燃气有限公司", "燃气经营安全监管", "市住房和城乡建设局")
    assert (line.status, line.stage, line.cooperating_names) == ("open", "received", ("市市场监督管理局",))
    assert (line.due_kind, line.seconds, line.overdue, line.provisional) == ("push", 2 * 3600, False, False)


def test_a_passed_limit_is_overdue_with_its_rung(city: City) -> None:
    """Once the receive limit has passed, the line is overdue and shows how high the ladder was climbed."""
    warning = city.warn("o-4", sector="hazardous-chemicals", level="red")
    city.deliver()
    city.wait(minutes=75)
    with city.database.read() as connection:
        line = live_warnings(connection, DUTY, city.clock.now(), overdue=True)[0]
        calm = live_warnings(connection, DUTY, city.clock.now(), level="blue")
    assert (warning, True, "receive", -45 * 60, 2) == (line.id, line.overdue, line.due_kind, line.seconds, line.rung)
    assert calm == []


def test_a_due_time_in_a_year_without_a_calendar_is_marked(city: City) -> None:
    """A limit that leans on holidays nobody has announced is provisional."""
    city.clock.move_to(city.clock.now() + timedelta(days=670))  # the last days of 2027: 2028 is not announced
    city.warn("o-3", sector="food", level="blue")
    with city.database.read() as connection:
        found = story(connection, DUTY, live_warnings(connection, DUTY, city.clock.now())[0].id, city.clock.now())
    assert [clock.provisional for clock in found.clocks] == [True]


def test_unrouted_warnings_come_first_then_the_most_urgent(city: City) -> None:
    """What stands at the desk is on top, then whatever runs out next."""
    calm = city.warn("o-3", sector="food", level="blue")
    urgent = city.warn("o-4", sector="hazardous-chemicals", level="red")
    nobody = city.warn("o-5", sector="prepaid", level="yellow")
    with city.database.read() as connection:
        assert [nobody, urgent, calm] == [one.id for one in live_warnings(connection, DUTY, city.clock.now())]


def test_a_list_is_paged_without_gaps_or_repeats(city: City) -> None:
    """Following `next` gives every warning once, open ones before ended ones."""
    raised = [city.warn(f"x-{n}", sector="food", level="yellow") for n in range(7)]
    city.answer("duty", raised[2], "withdraw", reason="误报")
    city.warn("o-5", sector="prepaid", level="yellow")
    found, after = list[str](), ""
    with city.database.read() as connection:
        while True:
            page = list_warnings(connection, DUTY, city.clock.now(), limit=3, after=after)
            found += [one.id for one in page.warnings]
            if not page.next:
                break
            after = page.next
        with pytest.raises(NotFound):
            list_warnings(connection, DUTY, city.clock.now(), after="w-none")
    assert 8 == len(found) == len(set(found))
    assert raised[2] == found[-1]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"status": "unrouted"}, {"unrouted"}),
        ({"status": "withdrawn"}, set()),
        ({"level": "red"}, {"red"}),
        ({"matter": "gas-operation"}, {"gas"}),
        ({"matter": "gas"}, {"gas"}),
        ({"department": PARTNER}, {"gas"}),
        ({"overdue": True}, {"red"}),
        ({}, {"gas", "red", "unrouted"}),
    ],
)
def test_filters_keep_what_they_name(city: City, filters: dict[str, object], wanted: set[str]) -> None:
    """Each filter of the list alone."""
    raised = {
        city.warn(): "gas",
        city.warn("o-4", sector="hazardous-chemicals", level="red"): "red",
        city.warn("o-5", sector="prepaid", level="yellow"): "unrouted",
    }
    city.deliver()
    city.wait(minutes=40)
    with city.database.read() as connection:
        page = list_warnings(connection, DUTY, city.clock.now(), **filters)  # type: ignore[arg-type]  # filters by name
    assert wanted == {raised[one.id] for one in page.warnings}


def test_the_canonical_form_carries_chinese_time_and_the_whole_limit(city: City) -> None:
    """Its times have the offset of Asia/Shanghai, its due time is the whole warning's, its matter the catalogue's."""
    warning = city.warn(evidence=[city.signal("s-1", text="漏气", object=ObjectRef(id="o-1"))])
    with city.database.read() as connection:
        found = canonical(connection, DUTY, warning)
    assert found.due_at is not None
    assert "+08:00" == found.due_at.isoformat()[-6:] == found.raised_at.isoformat()[-6:] == found.evidence[0].occurred_at.isoformat()[-6:]
    assert (
        found.matter,
        found.lead,
        found.cooperating,
        found.status,
        found.stage,
    ) == ("gas-operation", LEAD, (PARTNER,), "open", "generated")


def test_a_story_from_the_first_signal_to_the_end(city: City) -> None:
    """The line of time holds signals, the finding, what was done, what was told, in order; every station of the track has its time."""
    warning = city.warn(evidence=[city.signal("s-1", kind="gas.leak", text="漏气", object=ObjectRef(id="o-1"))])
    city.deliver()
    for action, form in (("receive", {}), ("verify", VERIFIED), ("handle", HANDLED), ("feed_back", FED_BACK)):
        city.wait(minutes=10)
        city.answer("lead", warning, action, **form)
    city.answer("duty", warning, "waive", task=city.task_of(warning, PARTNER), reason="已并入牵头办理")
    city.answer("duty", warning, "accept", task=city.task_of(warning, LEAD), signed_by="张局长")
    with city.database.read() as connection:
        found = story(connection, DUTY, warning, city.clock.now())
    lead = found.tasks[0]
    assert (found.summary.status, found.verdict, found.chain) == ("closed", "handled", "")
    assert [mark.state for mark in lead.track] == ["passed"] * 7 + ["present"]
    assert all(mark.at is not None for mark in lead.track)
    assert {"met"} == {clock.state for clock in lead.clocks}
    assert [said.action for said in lead.answers if said.form] == ["verify", "handle", "feed_back", "accept"]
    moments = [moment.at for moment in found.timeline]
    assert sorted(moments) == moments
    assert {"signal", "risk", "duty", "delivery"} <= {moment.source for moment in found.timeline}
    assert found.audit[0].what == "route"
    assert found.summary.cooperating_names == () or None is found.summary.due_at


def test_an_unfounded_warning_skips_handling(city: City) -> None:
    """Its track shows the stations it never needed as skipped, not as passed."""
    warning = city.warn("o-4", sector="hazardous-chemicals", level="orange")
    city.deliver()
    city.answer("other", warning, "receive")
    city.answer("other", warning, "verify", finding="unfounded", means="phone", facts="已核实", cause="误报")
    city.answer("duty", warning, "accept", task=city.task_of(warning, OTHER), signed_by="李局长")
    with city.database.read() as connection:
        track = story(connection, DUTY, warning, city.clock.now()).tasks[0].track
    assert [mark.state for mark in track] == ["passed", "passed", "passed", "passed", "skipped", "skipped", "passed", "present"]


def test_every_rung_has_its_recipient_delivery_and_deadline(city: City) -> None:
    """Issued rungs say whom they reached, when, and by when an answer is due; those to come say when they would be issued."""
    warning = city.warn("o-4", sector="hazardous-chemicals", level="red")
    city.deliver()
    city.wait(minutes=65)
    with city.database.read() as connection:
        rungs = story(connection, DUTY, warning, city.clock.now()).rungs
    receive = [rung for rung in rungs if rung.kind == "receive"]
    assert [rung.number for rung in receive] == [1, 2, 3, 4]
    assert [rung.state for rung in receive] == ["delivered", "delivered", "ahead", "ahead"]
    assert [rung.recipient_name for rung in receive] == ["市应急管理局", "市应急管理局", "", ""]
    assert all(rung.delivered_at is not None and rung.delivery == "sent" for rung in receive[:2])
    assert receive[1].issued_at is not None
    assert timedelta(hours=1) == (receive[1].answer_by or city.clock.now()) - receive[1].issued_at
    city.wait(minutes=70)
    with city.database.read() as connection:
        rungs = story(connection, DUTY, warning, city.clock.now()).rungs
    assert next(rung for rung in rungs if rung.kind == "receive" and rung.number == 2).state == "unanswered"
    city.answer("other", warning, "receive")
    with city.database.read() as connection:
        rungs = story(connection, DUTY, warning, city.clock.now()).rungs
    assert {"answered"} == {rung.state for rung in rungs if rung.kind == "receive"}


def test_deliveries_show_their_attempts(city: City) -> None:
    """A delivery that was given up stands in the list with what came of it, and on the line of time."""
    warning = city.warn()
    city.bury(warning)
    with city.database.read() as connection:
        found = story(connection, DUTY, warning, city.clock.now())
    dead = [one for one in found.deliveries if one.state == "dead"]
    assert [(one.recipient, [(tried.n, tried.status, tried.detail) for tried in one.attempts]) for one in dead] == [
        (LEAD, [(1, 410, "gone")])
    ]
    assert [moment.what for moment in found.timeline if moment.source == "delivery"] == ["dead"]
    assert [one.recipient for one in found.deliveries if one.inbox] == [PARTNER]


def test_a_changed_trail_is_shown_as_broken(city: City) -> None:
    """Somebody who rewrites an entry in the database is seen."""
    warning = city.warn()
    with city.database.write() as connection:
        connection.execute(update(audit).where(audit.c.warning_id == warning, audit.c.n == 1).values(actor="nobody"))
    with city.database.read() as connection:
        assert story(connection, DUTY, warning, city.clock.now()).chain == "第 1 条留痕被改动 / entry 1 was changed"


def test_legal_actions_are_the_asker_s(city: City) -> None:
    """The same task offers each reader what he may do to it, the auditor nothing."""
    warning = city.warn()
    city.deliver()
    offered = {}
    with city.database.read() as connection:
        for who in ("lead", "lead-head", "duty", "auditor"):
            offered[who] = {action.value for action in story(connection, TOKENS[who], warning, city.clock.now()).tasks[0].actions}
    assert {"receive", "return", "report", "verify"} == offered["lead"]
    assert {"transfer"} == offered["lead-head"]
    assert {"supervise"} == offered["duty"]
    assert set() == offered["auditor"]


def test_an_object_from_all_sides(city: City) -> None:
    """Relations by name, code check, signals newest first in pages, warnings with score and parts."""
    seqs = [
        city.signal(f"s-{n}", text=str(n), object=ObjectRef(id="o-1"), occurred_at=city.clock.now() - timedelta(hours=n))[0]
        for n in range(5)
    ]
    warning = city.warn()
    with city.database.read() as connection:
        first = object_page(connection, DUTY, "o-1", limit=3)
        rest = object_page(connection, DUTY, "o-1", after=first.next, limit=3)
        with pytest.raises(NotFound):
            object_page(connection, DUTY, "o-none")
        with pytest.raises(NotFound):
            object_page(connection, DUTY, "o-1", after=99_999)
    assert seqs == [one.seq for one in (*first.signals, *rest.signals)]
    assert rest.next == 0
    assert (first.code_check, first.relations[0].name, first.listed_by) == ("right", "科技路调压站", ("市住房和城乡建设局",))
    assert [(warning, 67.0, 3)] == [(one.id, one.score, len(one.contributions)) for one in first.open_warnings]
    city.answer("duty", warning, "withdraw", reason="误报")
    with city.database.read() as connection:
        after = object_page(connection, DUTY, "o-1")
    assert ((), [warning]) == (after.open_warnings, [one.id for one in after.former_warnings])


def test_feeds_count_what_came_and_what_could_not(city: City) -> None:
    """Counters, silence, open rejections by reason with their raw beginning, and how many wait to be confirmed."""
    city.signal("s-1", object=ObjectRef(id="o-1"))
    seq = city.reject("hotline", "bad_date", "编号,2026-02-30".encode("gb18030"), message="不是存在的日期", column="occurred_at")
    city.signal("s-2", text="好味有老鼠", object=ObjectRef(name="好味"), resolution=Resolution(method="ambiguous", candidates=("o-3",)))
    city.silence("hotline")
    with city.database.read() as connection:
        page = feeds_page(connection, {}, shown=city.privacy.shown)
        none = feeds_page(connection, {}, shown=city.privacy.shown, feed="hotline", reason="future")
    assert [(one.feed, one.accepted, one.rejected, one.open_rejections, one.silent) for one in page.feeds] == [("hotline", 2, 1, 1, True)]
    assert [(one.feed, one.reason, one.count) for one in page.reasons] == [("hotline", "bad_date", 1)]
    assert [(seq, "编号,2026-02-30", "occurred_at")] == [(one.seq, one.excerpt, one.field) for one in page.rejections]
    assert (page.unresolved_count, none.rejections) == (1, ())


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("编号,日期".encode(), "编号,日期"),
        ("编号,日期".encode("gb18030"), "编号,日期"),
        (b"\xff\xfe\xff\x00A", "\\xff\\xfe\\xff\x00A"),
        (("甲" * 5000).encode(), "甲" * 400),
    ],
)
def test_an_excerpt_is_readable_and_short(raw: bytes, shown: str) -> None:
    """Either encoding of the trade is read, bytes of none are written out, a long record is cut."""
    assert excerpt(raw) == shown


def test_rules_and_their_health(city: City) -> None:
    """Hits of a day and a month, the last one, and the rules that never fired; problems of a refused set beside the last good one."""
    shutil.copy(SHIPPED_PACKS / "gas.yaml", city.rules)
    city.rulebook.start()
    now = city.clock.now()
    for n, hours in enumerate((1, 30, 1000)):
        city.hit("gas-complaint-burst", 1, now - timedelta(hours=hours), object_id=f"x-{n}")
    (city.rules / "gas.yaml").write_text("pack: [", encoding="utf-8")
    city.rulebook.refresh()
    with city.database.read() as connection:
        page = rules_page(connection, city.rulebook.current(), city.rulebook.problems, now)
        empty = rules_page(connection, None, [], now)
    hit = next(rule for rule in page.rules if rule.id == "gas-complaint-burst")
    assert (1, 2, now - timedelta(hours=1), False) == (hit.hits_day, hit.hits_month, hit.last_hit, hit.never_fired)
    assert all(rule.never_fired and rule.last_hit is None for rule in page.rules if rule.id != hit.id)
    assert page.problems
    assert page.problems[0].line >= 1
    assert page.activated_by == "system"
    assert (empty.version, empty.rules) == ("", ())


def test_on_time_counts_a_department_s_own_clocks(city: City) -> None:
    """Met and missed stage clocks of thirty days; neither the centre's push nor a running clock within its limit counts."""
    first, second = city.warn(), city.warn("o-9", episode=2)
    city.deliver()
    city.answer("lead", first, "receive")  # met; the other one is never signed
    city.wait(hours=3)
    with city.database.read() as connection:
        figures = {one.department: one for one in duty_figures(connection, DUTY, city.clock.now()).departments}
    lead = figures[LEAD]
    assert (lead.open, lead.overdue, lead.clocks, lead.on_time) == (2, 1, 2, 0.5)
    assert (figures[PARTNER].clocks, figures[PARTNER].on_time) == (0, None)
    city.answer("duty", second, "withdraw", reason="误报")
    with city.database.read() as connection:
        figures = {one.department: one for one in duty_figures(connection, DUTY, city.clock.now()).departments}
    assert (figures[LEAD].clocks, figures[LEAD].on_time) == (1, 1.0), "a withdrawn warning is held against nobody"
    city.wait(days=40)
    with city.database.read() as connection:
        later = {one.department: one for one in duty_figures(connection, DUTY, city.clock.now()).departments}
    assert (later[LEAD].on_time or 0.0) < 0.5, "old clocks have left the window"


def test_gauges_say_what_the_tables_say(city: City) -> None:
    """Every sample is of a declared gauge with its labels, none twice, and the exposition takes them all."""
    city.warn("o-4", sector="hazardous-chemicals", level="red")
    nobody = city.warn("o-5", sector="prepaid", level="yellow")
    city.reject("hotline", "bad_date", b"x")
    city.bury(nobody)
    city.wait(minutes=40)
    with city.database.read() as connection:
        found = samples(connection, city.clock.now())
    assert len({(one.name, one.labels) for one in found}) == len(found)
    assert all(len(one.labels) == len(GAUGES[one.name][1]) for one in found)
    values = {(one.name, one.labels): one.value for one in found}
    assert 1.0 == values["fengsui_warnings_open", ("red", "hazchem-storage")] == values["fengsui_warnings_unrouted", ()]
    assert 1.0 == values["fengsui_rejections_open", ("hotline",)] == values["fengsui_objects", ("site",)]
    assert city.clock.now().timestamp() - 40 * 60 == values["fengsui_feed_last_received_timestamp_seconds", ("hotline",)]
    elsewhere = {"fengsui_journal_head", "fengsui_journal_applied", "fengsui_ruleset_info", "fengsui_ruleset_broken"}
    elsewhere |= {"fengsui_rules_active", "fengsui_rules_ailing", "fengsui_inference_stand_in", "fengsui_build_info"}
    elsewhere |= {
        "fengsui_edge_trouble",
        *(name for name in GAUGES if name.startswith(("fengsui_partition", "fengsui_source", "fengsui_standby"))),
    }
    elsewhere |= {"fengsui_duty_leases", "fengsui_store_away", "fengsui_engine_compiled"}  # of the process, not of its tables
    sometimes = {"fengsui_outbox_dead", "fengsui_tasks_on_time_ratio", "fengsui_feed_last_event_timestamp_seconds"}
    assert set(GAUGES) - elsewhere - sometimes <= {one.name for one in found}
    metrics = Metrics(sources=[lambda: found])
    assert b'fengsui_warnings_open{level="red",matter="hazchem-storage"} 1.0' in metrics.exposition()


def test_an_area_has_a_name(city: City) -> None:
    """A warning about a street is called by its region, since no object stands behind it."""
    city.warn("", subject="region:610113005", level="yellow", sector="food")
    with city.database.read() as connection:
        assert live_warnings(connection, DUTY, city.clock.now())[0].subject_name == "区域 610113005"


def test_a_long_list_reads_one_page_at_a_time(city: City) -> None:
    """A page costs the same number of statements however long the list is."""
    city.warn("x-0", sector="food", level="blue")
    counted = [_statements(city)]
    for n in range(1, 120):
        city.warn(f"x-{n}", sector="food", level="blue")
    counted.append(_statements(city))
    assert counted[0] == counted[1] <= 7


def _statements(city: City) -> int:
    """Return how many statements a page of ten takes."""
    seen: list[str] = []
    with city.database.read() as connection:
        event.listen(connection, "before_cursor_execute", lambda *args: seen.append(args[2]))
        assert len(list_warnings(connection, DUTY, city.clock.now(), limit=10).warnings) <= 10
    return len(seen)
