"""Prometheus metrics: base units, one prefix, few labels; what stands in SQL is read at the scrape, not counted twice.

Labels are feed, topic, outcome, rule, matter, department, level, stage, partition, never an id of a warning or an object (decision 16).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from domain.errors import StoreUnavailable

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no annotation there
log = structlog.get_logger(__name__)
CONTENT_TYPE = "text/plain; version=0.0.4"  # and the character set, which the HTTP side adds

# What `Snapshot` callbacks may report: name → (help, labels). The dashboards' test walks this table too.
GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "fengsui_warnings_open": ("Open warnings of the obligation engine.", ("level", "matter")),
    "fengsui_warnings_open_by_department": ("Open warnings by the department that leads.", ("department", "level")),
    "fengsui_warnings_unrouted": ("Open warnings without a competent department, at the duty desk.", ()),
    "fengsui_warnings_unrouted_wait_seconds": ("How long the oldest warning without a competent department has waited.", ()),
    "fengsui_department_info": ("Names of the departments; always 1.", ("department", "name")),
    "fengsui_tasks_open": ("Open tasks.", ("department", "stage")),
    "fengsui_tasks_overdue": ("Open tasks one of whose running limits has passed.", ("department",)),
    "fengsui_tasks_on_time_ratio": ("Closed stages that met their limit, of all closed stages of the last 30 days.", ("department",)),
    "fengsui_timers_pending": ("Timers that have not fired.", ()),
    "fengsui_timers_due": ("Timers whose time has come and that have not fired.", ()),
    "fengsui_timers_late_seconds": ("How long the oldest due timer has been waiting to fire.", ()),
    "fengsui_outbox_waiting": ("Deliveries that are still to be made.", ()),
    "fengsui_outbox_late_seconds": ("How long the delivery that is due longest has been waiting for its attempt to be over.", ()),
    "fengsui_duty_leases": ("Deliveries and owed journal entries that the duty loop of this process holds; absent once it has ended.", ()),
    "fengsui_outbox_dead": ("Deliveries in the dead letters.", ("department",)),
    "fengsui_signals_unresolved": ("Signals in the confirm queue: no object, or more than one candidate.", ()),
    "fengsui_rejections_open": ("Rejected records that nobody has replayed or dismissed.", ("feed",)),
    "fengsui_feed_last_received_timestamp_seconds": (
        "When the feed last sent a record, sound or not, or word that it is complete.",
        ("feed",),
    ),
    "fengsui_feed_last_event_timestamp_seconds": ("The newest event time that the feed has sent.", ("feed",)),
    "fengsui_feed_silent": ("1 where the feed has said nothing for longer than its contract allows.", ("feed",)),
    "fengsui_journal_head": ("Sequence number of the last synced journal record.", ()),
    "fengsui_journal_applied": ("Sequence number up to which the pipeline's outcomes are committed.", ()),
    "fengsui_objects": ("Regulated objects in the registry.", ("type",)),
    "fengsui_ruleset_info": ("The active rule set; always 1.", ("version",)),
    "fengsui_ruleset_broken": ("1 where the rules folder holds a set that was refused; the last good set runs.", ()),
    "fengsui_inference_stand_in": ("1 where nobody checks the inferences that are in force: durable-rules is absent or was retired.", ()),
    "fengsui_rules_active": ("Rules of the active set.", ("status",)),
    "fengsui_rules_ailing": ("Rules of the active set by what is wrong with them; one may count under several.", ("ailment",)),
    "fengsui_partitions": ("Partitions that the workers hold between them, of objects and of areas; told by every worker.", ()),
    "fengsui_partition_offset_done": ("Offset of the last frame whose effects are committed, by partition.", ("partition",)),
    "fengsui_partition_epoch": ("How often the partition was assigned; a worker of an older epoch writes nothing.", ("partition",)),
    "fengsui_partition_lag_frames": ("Frames of the partition that are not committed.", ("partition",)),
    "fengsui_partition_quarantined_records": ("Records that brought the engine down twice and are left out.", ("partition",)),
    "fengsui_standbys_wanted": ("Partitions of other workers that this one is to stand by for.", ()),
    "fengsui_standbys_warm": ("Those of them that it has in memory.", ()),
    "fengsui_standby_age_seconds": ("How long ago the one of them that is the furthest behind was level with its partition.", ()),
    "fengsui_partition_waiting": ("1 where the partition waits for a store that is away.", ("partition", "store")),
    "fengsui_edge_trouble": ("1 while the edge takes nothing: the brokers do not acknowledge, or a loop of it ended.", ()),
    "fengsui_source_lag_messages": ("Messages of a source's partitions at this edge that are not taken yet.", ("feed", "topic")),
    "fengsui_source_trouble": ("1 while a source cannot be read, or what it brought cannot be kept.", ("feed", "topic")),
    "fengsui_store_away": ("1 where this process could not ask its store for some of these values just now; they are left out.", ()),
    "fengsui_build_info": ("The running software; always 1.", ("version",)),
    "fengsui_engine_compiled": ("1 where the engine runs as machine code, 0 where its sources run.", ()),
}

# Upper bounds in seconds. An answer waits for one sync of the disk, a step for one transaction; an attempt is given up after 30 s.
WORK_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ATTEMPT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)
LATE_BUCKETS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)  # duty loops look twice a second


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a gauge of `GAUGES`; `labels` are in the order of the table."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


class _SampleCollector(Collector):
    """Turns the samples of all sources into metric families at each scrape."""

    def __init__(self, sources: Sequence[Callable[[], Iterable[Sample]]]) -> None:
        self._sources = sources

    def collect(self) -> Iterable[GaugeMetricFamily]:
        families = {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in GAUGES.items()}
        away = False
        for source in self._sources:
            try:
                found = list(source())
            except StoreUnavailable as error:  # when a store is away the rest is needed most
                away = True
                log.warning("metrics.store_unavailable", reason=str(error))
                continue
            for sample in found:
                families[sample.name].add_metric(sample.labels, sample.value)
        families["fengsui_store_away"].add_metric((), float(away))
        return families.values()

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Name the families without asking the sources: registration must not touch the database."""
        return [GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in GAUGES.items()]


@dataclass(slots=True)
class Metrics:
    """The counters of one running application, and the sources of its gauges."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    sources: list[Callable[[], Iterable[Sample]]] = field(default_factory=list)
    records: Counter = field(init=False)
    hits: Counter = field(init=False)
    blind: Counter = field(init=False)
    suppressed: Counter = field(init=False)
    raised: Counter = field(init=False)
    deliveries: Counter = field(init=False)
    timers: Counter = field(init=False)
    escalations: Counter = field(init=False)
    answers: Counter = field(init=False)
    refused: Counter = field(init=False)
    requests: Counter = field(init=False)
    sign_ins: Counter = field(init=False)
    reloads: Counter = field(init=False)
    request_seconds: Histogram = field(init=False)
    answer_seconds: Histogram = field(init=False)
    step_seconds: Histogram = field(init=False)
    delivery_seconds: Histogram = field(init=False)
    timer_delay: Histogram = field(init=False)
    loop_errors: Counter = field(init=False)
    inferred: Counter = field(init=False)
    source_messages: Counter = field(init=False)
    frames: Counter = field(init=False)
    signals: Counter = field(init=False)
    set_aside: Counter = field(init=False)
    standbys: Counter = field(init=False)
    commit_seconds: Histogram = field(init=False)
    snapshot_position: Gauge = field(init=False)

    def __post_init__(self) -> None:
        """Register everything; a registry holds each name once."""
        at = self.registry
        self.records = Counter("fengsui_records_total", "Records by what became of them.", ("feed", "outcome"), registry=at)
        self.hits = Counter("fengsui_rule_hits_total", "Rules that became true.", ("rule",), registry=at)
        self.suppressed = Counter("fengsui_rule_suppressed_total", "Hits kept back by a tuning filter.", ("filter",), registry=at)
        self.blind = Counter("fengsui_rule_blind_total", "Times that silent feeds kept a rule from being decided.", ("rule",), registry=at)
        self.raised = Counter("fengsui_warnings_raised_total", "Warnings raised.", ("level", "matter"), registry=at)
        self.deliveries = Counter("fengsui_deliveries_total", "Delivery attempts by outcome.", ("outcome",), registry=at)
        self.timers = Counter("fengsui_timers_fired_total", "Timers fired.", ("kind",), registry=at)
        self.escalations = Counter("fengsui_escalations_total", "Rungs of the escalation ladder reached.", ("act",), registry=at)
        self.answers = Counter("fengsui_answers_total", "Answers of departments.", ("action", "outcome"), registry=at)
        self.refused = Counter("fengsui_requests_refused_total", "Requests that were refused.", ("reason",), registry=at)
        self.requests = Counter("fengsui_requests_total", "Requests by the hundred of their answer's status.", ("answer",), registry=at)
        self.sign_ins = Counter("fengsui_sign_ins_total", "Tokens that were brought to the console.", ("outcome",), registry=at)
        self.request_seconds = Histogram("fengsui_request_seconds", "One request, the two probes apart.", buckets=WORK_BUCKETS, registry=at)
        self.reloads = Counter("fengsui_ruleset_reloads_total", "Attempts to load a rule set.", ("outcome",), registry=at)
        self.answer_seconds = Histogram(
            "fengsui_intake_answer_seconds", "From a request's arrival to its answer, synced to disk.", buckets=WORK_BUCKETS, registry=at
        )
        self.step_seconds = Histogram(
            "fengsui_pipeline_step_seconds", "One batch through pipeline and commit.", buckets=WORK_BUCKETS, registry=at
        )
        self.delivery_seconds = Histogram("fengsui_delivery_seconds", "One delivery attempt.", buckets=ATTEMPT_BUCKETS, registry=at)
        self.timer_delay = Histogram(
            "fengsui_timer_delay_seconds", "From a timer's due time to its firing.", buckets=LATE_BUCKETS, registry=at
        )
        self.loop_errors = Counter("fengsui_loop_errors_total", "Errors that a background loop survived.", ("loop",), registry=at)
        self.inferred = Counter(
            "fengsui_inference_compared_total", "Conclusions of the matcher by what came of checking them.", ("outcome",), registry=at
        )
        self.source_messages = Counter(
            "fengsui_source_messages_total", "Messages of other systems' topics.", ("feed", "topic", "outcome"), registry=at
        )
        self.frames = Counter("fengsui_worker_frames_total", "Frames whose effects were committed.", registry=at)
        self.signals = Counter("fengsui_worker_signals_total", "Signals of these frames, each name once.", registry=at)
        self.standbys = Counter("fengsui_standbys_total", "Standbys by what became of them.", ("outcome",), registry=at)
        self.set_aside = Counter(
            "fengsui_partition_set_aside_total", "Messages that are no frame, and records left out.", ("partition",), registry=at
        )
        self.commit_seconds = Histogram(
            "fengsui_commit_seconds", "One frame's transaction: offset, epoch and effects.", buckets=WORK_BUCKETS, registry=at
        )
        self.snapshot_position = Gauge("fengsui_snapshot_position", "Journal position of the newest snapshot.", registry=at)
        at.register(_SampleCollector(self.sources))

    def exposition(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        return generate_latest(self.registry)
