"""Judge the shipped rules on invented months: which planted incidents they find, and how often they cry wolf.

    python -m benchmarks.rule_packs [--seeds 1 2 3 4] [--close HOURS] [--list] [--rules DIR] [--cache DIR]

The month of a seed goes through the real mappings, the resolution of objects and the pipeline, without sockets, journal and database: a
month takes a minute instead of four, and with `--cache` (mapped signals are kept as long as mappings and seed are the same) seconds.
`--close HOURS` closes every warning that many hours after it was raised, as departments do; without it nobody answers. It falls short
below LEAST_FOUND incidents of a month, or when a department gets more than MOST_FALSE false warnings (yellow or above) on one day.
The shipped rules were written on seeds 1 to 4; every other seed is new to them.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from app.demo import registers
from app.demo.schedule import Plan, build
from app.demo.truth import Raised, Verdict, fits, score
from app.demo.world import World
from connectors.inbound.catalogue import read_catalogue
from connectors.inbound.decode import decode
from connectors.inbound.departments import read_departments
from connectors.inbound.mapping import Mapped, apply
from connectors.inbound.mapping_load import SHIPPED, load_folder
from connectors.inbound.registry import read_objects
from connectors.inbound.resolve import resolve
from domain.catalogue import Catalogue
from domain.departments import Directory
from domain.digest import digest_of
from domain.findings import EarlyWarning, EpisodeEnded, WarningRaised, WarningUpdated
from domain.levels import DEFAULT_LEVELS
from domain.records import AnyEntry, CatalogueEntry, ObjectsEntry, OutcomeEntry, Record, RulesetEntry, SignalEntry, TickEntry
from models.registry import REGISTRY, VECTOR_REGISTRY
from rules.load import load_rules
from rules.ruleset import RuleSet
from storage.registry import MemoryObjectLookup
from streams.pipeline import Pipeline, PipelineSettings

LEAST_FOUND = 12
MOST_FALSE = 1
PACKS = Path(__file__).parents[1] / "rules" / "packs"
_KEY = b"a key of the benchmark, no secret"
_AFTERMATH = timedelta(days=10)
_YELLOW = DEFAULT_LEVELS.rank("yellow")

Arrival = tuple[datetime, SignalEntry]


class Month(msgspec.Struct):
    """What arrives in the month of one seed, in order, and the registers that were imported before."""

    world: World
    objects: ObjectsEntry
    catalogue: Catalogue
    directory: Directory
    arrivals: list[Arrival]


def month(seed: int, cache: Path | None) -> Month:
    """Return the month of `seed`, its world and signals from `cache` where they are there."""
    kept = cache / f"month-{seed}-{_digest_of_mappings()}.msgpack" if cache else None
    if kept is not None and kept.exists():
        world, arrivals = msgspec.msgpack.decode(kept.read_bytes(), type=tuple[World, list[Arrival]])
    else:
        plan = build(seed)
        world, arrivals = plan.world, list(_arrivals(plan, _objects(plan.world)))
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(msgspec.msgpack.encode((world, arrivals)))
    return Month(
        world=world,
        objects=_objects(world),
        catalogue=read_catalogue(registers.catalogue_xlsx(), "catalogue.xlsx").catalogue,
        directory=read_departments(registers.departments_yaml(), "departments.yaml").directory,
        arrivals=arrivals,
    )


def _objects(world: World) -> ObjectsEntry:
    return ObjectsEntry(version=1, objects=read_objects(registers.objects_csv(world.city), "objects.csv").objects)


def _digest_of_mappings() -> str:
    seen = hashlib.sha256()
    for folder in (SHIPPED, Path(__file__).parents[1] / "connectors" / "inbound", Path(__file__).parents[1] / "app" / "demo"):
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".yaml", ".py"}:
                seen.update(path.read_bytes())
    return seen.hexdigest()[:16]


def _arrivals(plan: Plan, objects: ObjectsEntry) -> Iterator[Arrival]:
    """Map and resolve everything that is sent; a repeated record is left out, another content under the same key is a revision."""
    mappings = load_folder()
    lookup = MemoryObjectLookup()
    lookup.apply(objects)
    known: dict[tuple[str, str], tuple[str, int]] = {}
    for send in plan.sends:
        mapping = mappings[send.feed]
        hint = send.name if send.channel == "file" else send.content_type
        for result in apply(mapping, decode(send.body, hint, mapping.shape), send.at, _KEY):
            if not isinstance(result, Mapped):
                continue
            signal = result.signal
            digest = digest_of(signal)
            before = known.get((send.feed, signal.id))
            if before is not None and (before[0] == digest or not mapping.revisable):
                continue
            revision = before[1] + 1 if before else 0
            known[send.feed, signal.id] = digest, revision
            resolution = resolve(signal.object, signal.text, lookup, signal.region)
            yield send.at, SignalEntry(feed=send.feed, signal=signal, resolution=resolution, digest=digest, revision=revision)


def run(given: Month, ruleset: RuleSet, close_after: timedelta | None) -> list[EarlyWarning]:
    """Play a month; return the warnings in their last state, in the order in which they were raised."""
    settings = PipelineSettings()
    make = VECTOR_REGISTRY["forest"]
    pipeline = Pipeline(DEFAULT_LEVELS, Catalogue(), lambda _: ruleset, REGISTRY, settings, object_detector=make)
    last: dict[str, EarlyWarning] = {}
    ended: set[str] = set()
    closing: list[tuple[datetime, str]] = []
    seq = 0

    def feed(at: datetime, entry: AnyEntry) -> None:
        nonlocal seq
        seq += 1
        for outcome in pipeline.step([Record(seq=seq, received_at=at, entry=entry)]):
            if isinstance(outcome, WarningRaised):
                last[outcome.warning.id] = outcome.warning
                if close_after is not None:
                    heapq.heappush(closing, (max(at, outcome.warning.raised_at) + close_after, outcome.warning.id))
            elif isinstance(outcome, WarningUpdated):
                last[outcome.warning.id] = outcome.warning
            elif isinstance(outcome, EpisodeEnded):
                ended.add(outcome.warning_id)

    def close_until(at: datetime) -> None:
        while closing and closing[0][0] <= at:
            due, warning = heapq.heappop(closing)
            if warning not in ended and DEFAULT_LEVELS.rank(last[warning].level) >= _YELLOW:
                feed(due, OutcomeEntry(warning_id=warning, verdict="confirmed", closed=True))

    start = given.world.start - timedelta(hours=8)
    before: tuple[AnyEntry, ...] = (given.objects, CatalogueEntry(catalogue=given.catalogue), RulesetEntry(version=ruleset.version))
    for entry in before:
        feed(start, entry)
    for at, entry in given.arrivals:
        close_until(at)
        feed(at, entry)
    end = given.world.end + _AFTERMATH
    close_until(end)
    feed(end, TickEntry())
    return list(last.values())


def judge(given: Month, warnings: Sequence[EarlyWarning]) -> Verdict:
    """Hold warnings against the truth; the departments are those that the catalogue names."""
    return score([_raised(given, warning) for warning in warnings], given.world, levels=DEFAULT_LEVELS.names())


def _raised(given: Month, warning: EarlyWarning) -> Raised:
    item = given.catalogue.find(warning.matter, warning.kind, warning.region)
    names = (item.lead, *item.cooperating) if item is not None else ()
    units = (given.directory.find(name, item.tier, warning.region) for name in names) if item is not None else ()
    departments = tuple(unit.id for unit in units if unit is not None)
    return Raised(
        id=warning.id,
        subject=warning.subject,
        sector=warning.sector,
        raised_at=warning.raised_at,
        level=warning.level,
        departments=departments or (given.directory.officer("duty_desk", warning.sector, warning.region),),
    )


def report(given: Month, warnings: Sequence[EarlyWarning], seconds: float, *, everything: bool, show: Callable[[str], None]) -> Verdict:
    """Print one month's figures, and with `everything` each incident and each warning that fits none."""
    verdict = judge(given, warnings)
    levels = Counter(warning.level for warning in warnings)
    raised = {warning.id: _raised(given, warning) for warning in warnings}
    stray = [each for each in warnings if each.level == "blue" and not any(fits(raised[each.id], one) for one in given.world.incidents)]
    early = sum(one.before_peak for one in verdict.incidents)
    late = sorted(round(one.delay / timedelta(hours=1), 1) for one in verdict.incidents if one.delay is not None)
    show(
        f"seed {given.world.city.seed}: found {verdict.found}/{verdict.planted} ({early} before the peak, median delay "
        f"{late[len(late) // 2] if late else '-'} h), false {len(verdict.false_alarms)}, worst department-day {verdict.worst_day}, "
        f"stray blue {len(stray)}, levels {dict(levels)}, {len(given.arrivals)} signals, {seconds:.0f} s"
    )
    if not everything:
        return verdict
    by_id = {warning.id: warning for warning in warnings}
    for one in verdict.incidents:
        found = by_id.get(one.warning)
        rules = ", ".join(found.rules) if found else "MISSED"
        show(f"  + {one.incident}: {one.level} after {one.delay} {'before' if one.before_peak else 'AFTER'} the peak: {rules}")
    for false in verdict.false_alarms:
        show(f"  - {_shown(given, by_id[false.warning])} {false.near_miss}")
    for each in sorted(stray, key=lambda warning: warning.raised_at):
        show(f"  . {_shown(given, each)}")
    for count in verdict.per_day[:3]:
        show(f"  {count.department} {count.day}: {count.count}")
    return verdict


def _shown(given: Month, warning: EarlyWarning) -> str:
    thing = given.world.city.by_id.get(warning.subject)
    named = f"{thing.kind} {thing.name}" if thing else warning.subject
    parts = "; ".join(f"{part.name} {part.full:.0f} {part.message}" for part in warning.contributions)
    return f"{warning.raised_at:%m-%d %H:%M} {warning.level} {warning.sector} {named}: {', '.join(warning.rules)} | {parts}"


def main(argv: Sequence[str]) -> int:
    """Return 0 when every month keeps the bounds, 1 when one falls short."""
    parser = argparse.ArgumentParser(prog="rule_packs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--rules", type=Path, default=PACKS)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--close", type=float, metavar="HOURS")
    parser.add_argument("--list", action="store_true", dest="everything")
    options = parser.parse_args(argv)
    ruleset = load_rules({path.name: path.read_text(encoding="utf-8") for path in sorted(options.rules.glob("*.yaml"))})
    close_after = timedelta(hours=options.close) if options.close is not None else None
    verdicts = []
    for seed in options.seeds:
        began = time.perf_counter()
        given = month(seed, options.cache)
        warnings = run(given, ruleset, close_after)
        verdicts.append(report(given, warnings, time.perf_counter() - began, everything=options.everything, show=print))
    found, worst = min(one.found for one in verdicts), max(one.worst_day for one in verdicts)
    false = sum(len(one.false_alarms) for one in verdicts)
    print(f"rule packs: least found {found} (wanted {LEAST_FOUND}), false {false}, worst department-day {worst} (allowed {MOST_FALSE})")
    return int(found < LEAST_FOUND or worst > MOST_FALSE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
