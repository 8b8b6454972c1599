"""Rule sets of a cluster: kept in the database under their hash, then put in force by a control record in every partition.

A record of the control topic comes first: it says what was decided, when, by whom, in one sequence for the whole deployment.
"""

from __future__ import annotations

from pathlib import Path

from app.cluster.stores import check_topics
from app.rulebook import read_folder
from app.settings import Settings
from app.stores import open_database
from app.synced import synced
from connectors.kafka.intake import KafkaIntake
from domain.base import Noun
from domain.errors import IllegalValue
from domain.messages import both
from domain.ports import Clock, Offer
from domain.records import RulesetEntry
from rules.load import load_rules
from rules.spread import spread
from storage import risk
from storage.admission import storable


class Published(Noun, frozen=True, kw_only=True):
    """What was put in force: the set's version, and the rules that are not judged in several partitions."""

    version: str
    rules: int
    not_judged: tuple[str, ...]


def publish(settings: Settings, folder: Path, by: str, clock: Clock, *, without_groups: bool = False) -> Published:
    """Put the rules of `folder` in force in every partition; it returns once all in-sync brokers have all of these records.

    Done again after a failure it changes nothing twice.

    Raises:
        FileProblems: the rules are wrong.
        IllegalValue: with several partitions some rules cannot be judged, and nobody said `without_groups`.
        StoreUnavailable: brokers, topics or database cannot be used.
    """
    texts = read_folder(folder)
    ruleset = load_rules(texts)
    kafka = settings.kafka
    left_out = spread(ruleset).left_out if kafka.partitions > 1 else ()
    if left_out and not without_groups:
        raise IllegalValue(f"{both('worker.groups', partitions=kafka.partitions, rules=', '.join(left_out))}；--without-groups")
    check_topics(settings)
    database = open_database(settings, clock)
    try:
        with database.write() as connection:
            risk.store_ruleset(connection, ruleset.version, texts, by)
    finally:
        database.close()
    entry = RulesetEntry(version=ruleset.version, by=by)
    for topic, partitions in ((kafka.layout().topic("control"), 1), (kafka.layout().topic("frames"), kafka.partitions)):
        with KafkaIntake(kafka.access(), topic, partitions, clock, prepare=storable, by=by) as intake:
            synced(intake.submit([Offer(entry=entry)]))
    return Published(version=ruleset.version, rules=len(ruleset.rules) - len(left_out), not_judged=left_out)
