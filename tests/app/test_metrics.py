"""What the metrics say of obligations that are late, of the loop that should meet them, of requests, and when a store is away."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import httpx
from prometheus_client.parser import text_string_to_metric_families

from app.metrics import Metrics, Sample
from domain.errors import StoreUnavailable
from tests.app.world import LEAD, World

LATE = ("fengsui_timers_due", "fengsui_timers_late_seconds", "fengsui_outbox_late_seconds")


def values(metrics: Metrics) -> dict[str, float]:
    """Return each sample of a scrape; its labels' values follow its name."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {" ".join((one.name, *one.labels.values())): one.value for family in families for one in family.samples}


def test_what_is_late_is_told_while_no_loop_meets_it(world: World) -> None:
    """With the loop ended, its own gauge is gone, and timers and deliveries grow older with the clock; before, nothing was late."""
    world.offices[LEAD].always = 503
    world.warn()
    fine = values(world.app.metrics)
    assert [fine[name] for name in LATE] == [0, 0, 0]
    assert fine["fengsui_outbox_waiting"] >= 1, "it will be tried again"
    assert fine["fengsui_duty_leases"] == 0
    world.app.duty.stop()
    world.clock.move_to(world.clock.now() + timedelta(hours=3))
    told = values(world.app.metrics)
    assert "fengsui_duty_leases" not in told
    assert told["fengsui_timers_due"] >= 2, "two reminders at least"
    assert 7200 <= told["fengsui_timers_late_seconds"] < 3 * 3600, "the first of them was due within the hour"
    assert 10_000 < told["fengsui_outbox_late_seconds"] < 3 * 3600, "the second attempt was due within minutes"


def test_a_timer_that_fires_in_time_is_not_late(world: World) -> None:
    """Each fires at its own instant, and is counted with no delay."""
    world.warn()
    world.at("61m")
    told = values(world.app.metrics)
    fired = sum(n for name, n in told.items() if name.startswith("fengsui_timers_fired_total"))
    assert told["fengsui_timer_delay_seconds_count"] == told["fengsui_timer_delay_seconds_bucket 0.5"] == fired > 0


def test_a_timer_that_fires_late_counts_by_how_much(world: World) -> None:
    """A machine that slept over a reminder says afterwards how late it was."""
    world.warn()
    world.jump("3h")
    told = values(world.app.metrics)
    assert told["fengsui_timer_delay_seconds_bucket 3600.0"] < told["fengsui_timer_delay_seconds_count"]
    assert told["fengsui_timer_delay_seconds_sum"] >= 2 * 3600, "the reminder at half of two hours"


def test_requests_and_sign_ins_are_counted_by_what_came_of_them(world: World) -> None:
    """A page that is shown, one that is not there, a caller without a credential, a token that is none; the probes count for nothing."""
    before = values(world.app.metrics)
    with httpx.Client(base_url=world.app.settings.base_url, trust_env=False) as client:
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
        assert client.get("/v1/warnings").status_code == 401
        assert client.post("/login", data={"token": "wrong"}).status_code == 401
        assert client.post("/login", data={"token": world.admin_token()}).status_code == 303
    assert world.ask("duty", "GET", "/v1/warnings").status_code == 200
    names = ("fengsui_requests_total", "fengsui_sign_ins", "fengsui_request_seconds_count")
    grown = {name: value - before.get(name, 0) for name, value in values(world.app.metrics).items() if name.startswith(names)}
    assert {name: by for name, by in grown.items() if by} == {
        "fengsui_requests_total 2xx": 1,
        "fengsui_requests_total 3xx": 1,
        "fengsui_requests_total 4xx": 2,
        "fengsui_request_seconds_count": 4,
        "fengsui_sign_ins_total begun": 1,
        "fengsui_sign_ins_total refused": 1,
    }


def test_a_store_that_is_away_takes_only_its_own_values_along() -> None:
    """The rest of a scrape is there and says so: it is then that somebody looks."""
    metrics, away = Metrics(), [False]

    def rows() -> Iterable[Sample]:
        yield Sample("fengsui_timers_due", 7.0)
        if away[0]:
            raise StoreUnavailable("the server does not answer")

    metrics.sources += [rows, lambda: [Sample("fengsui_build_info", 1.0, ("0.1.0",))]]
    told = values(metrics)
    assert (told["fengsui_timers_due"], told["fengsui_store_away"]) == (7, 0)
    away[0] = True
    told = values(metrics)
    assert "fengsui_timers_due" not in told
    assert (told["fengsui_build_info 0.1.0"], told["fengsui_store_away"]) == (1, 1)
