"""Metrics in which everything has a value, and most of it a bad one, served as Fengsui serves them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product

from prometheus_client import Counter, Histogram

from app.metrics import CONTENT_TYPE, GAUGES, Metrics, Sample
from dashboards import cluster, duty, engine, requests
from domain.levels import DEFAULT_LEVELS
from domain.policies import ACTS
from domain.tasks import OPEN_STAGES, Action

NAMES = {"zhujian": "市住建局", "xiaofang": "市消防救援支队"}
NAMELESS = "jiaotong"  # a department that the directory does not name
LABELS: dict[str, tuple[str, ...]] = {
    "level": DEFAULT_LEVELS.names(),
    "matter": ("gas", "food"),
    "department": (*NAMES, NAMELESS),
    "stage": tuple(stage.value for stage in OPEN_STAGES),
    "feed": ("hotline-12345", "iot-json"),
    "type": ("enterprise", "device"),
    "version": ("0.1.0",),
    "status": tuple(engine.RULE_STATES),
    "ailment": tuple(engine.AILMENTS),
    "filter": ("gas-works-drill",),
    "rule": ("gas.leak-repeated", "food.complaints"),
    "kind": tuple(duty.TIMER_KINDS),
    "act": ACTS,
    "action": tuple(action.value for action in Action),
    "partition": ("0", "1"),
    "store": ("database", "disk"),
    "answer": requests.ANSWERS,
    "reason": ("no_credential", "too_large"),
    "loop": tuple(engine.LOOPS),
    "topic": ("iot.events", "hotline.tickets"),
}
OUTCOMES = {
    "fengsui_records": tuple(engine.RECORD_OUTCOMES),
    "fengsui_deliveries": tuple(duty.DELIVERY_OUTCOMES),
    "fengsui_source_messages": ("taken", "skipped", "lost"),
    "fengsui_answers": tuple(duty.ANSWER_OUTCOMES),
    "fengsui_sign_ins": tuple(requests.SIGN_INS),
    "fengsui_ruleset_reloads": tuple(engine.RELOAD_OUTCOMES),
    "fengsui_inference_compared": tuple(engine.COMPARED),
    "fengsui_standbys": tuple(cluster.STANDBYS),
}
VALUES = {
    "fengsui_partitions": 24.0,
    "fengsui_partition_lag_frames": 20_000.0,
    "fengsui_tasks_on_time_ratio": 0.9,
    "fengsui_timers_late_seconds": 120.0,
    "fengsui_outbox_late_seconds": 1200.0,
    "fengsui_warnings_unrouted_wait_seconds": 7200.0,
    "fengsui_journal_head": 1_000_000.0,
    "fengsui_feed_last_received_timestamp_seconds": 1.7e9,
    "fengsui_feed_last_event_timestamp_seconds": 1.7e9,
}


def samples() -> Iterator[Sample]:
    """Give every gauge of the table a sample for each combination of its labels' values."""
    for name, (_, labels) in GAUGES.items():
        if name == "fengsui_department_info":
            yield from (Sample(name, 1.0, pair) for pair in NAMES.items())
        else:
            yield from (Sample(name, VALUES.get(name, 1.0), values) for values in product(*(LABELS[label] for label in labels)))


def populated() -> Metrics:
    """Return metrics with all gauges, stirred once."""
    metrics = Metrics()
    metrics.sources.append(samples)
    metrics.snapshot_position.set(1000)
    stir(metrics)
    return metrics


def stir(metrics: Metrics) -> None:
    """Move every counter and histogram on."""
    for part in fields(metrics):
        metric = getattr(metrics, part.name)
        if isinstance(metric, Counter):
            for child in _children(metric):
                child.inc()
        elif isinstance(metric, Histogram):
            metric.observe(0.02)


def _children(counter: Counter) -> Iterable[Counter]:
    names = counter._labelnames
    choices = [OUTCOMES[counter._name] if name == "outcome" else LABELS[name] for name in names]
    return (counter.labels(*values) for values in product(*choices)) if names else (counter,)


@contextmanager
def served(metrics: Metrics, token: str) -> Iterator[int]:
    """Serve `/metrics` to whoever brings the bearer token, as the application does, and yield the port; each scrape stirs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/metrics" or self.headers["Authorization"] != f"Bearer {token}":
                self.send_error(HTTPStatus.UNAUTHORIZED)
                return
            stir(metrics)
            body = metrics.exposition()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's signature
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
