"""Which rules warm up and which signals come too late for them: what workers write down, and an api puts together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from domain.ports import Grant
from storage.database import Database
from storage.rules_known import Known, keep_known, known_of
from streams.runtimes.group_partitions import GroupPartition
from streams.runtimes.partitions import Partition

WRITE_SECONDS: Final = 5.0
_Name = tuple[str, int]


class RulesTold:
    """A worker's: `look` is called by the thread that judges, `write` by another one."""

    def __init__(self, database: Database) -> None:
        """Write to `database`."""
        self._database = database
        self._seen: Mapping[_Name, Known] = {}
        self._written: dict[_Name, Known] = {}

    def look(self, partitions: list[Partition]) -> None:
        """See what the partitions know that are worked on here."""
        self._seen = {_name(held.grant): _known(held) for held in partitions}

    def write(self) -> None:
        """Write down what is new; raises StoreUnavailable, and the next time writes it."""
        seen = self._seen
        new = {name: known for name, known in sorted(seen.items()) if known.version and self._written.get(name) != known}
        if new:
            with self._database.write() as connection:
                for (topic, partition), known in new.items():
                    keep_known(connection, topic, partition, known)
        self._written = {name: known for name, known in seen.items() if known.version}


def _name(grant: Grant) -> _Name:
    return grant.topic, grant.partition


def _known(held: Partition) -> Known:
    both = (held.pipeline, held.beside) if isinstance(held, GroupPartition) else (held.pipeline,)  # they judge different rules
    complete = {rule: at for each in both for rule, at in each.complete_from().items()}
    too_late = {rule: told for each in both for rule, told in each.too_late().items()}
    return Known(version=held.pipeline.ruleset.version, complete=complete, too_late=too_late)


class RulesKnown:
    """An api's, for `app.rule_health.RuleHealth`; both raise StoreUnavailable."""

    def __init__(self, database: Database, active: Callable[[], str]) -> None:
        """`active` says which version is in force."""
        self._database = database
        self._active = active

    def complete(self) -> Mapping[str, datetime]:
        """Return from when on each rule knows the whole of what it reads, in every partition that judges it."""
        found: dict[str, datetime] = {}
        for known in self._known():
            for rule, at in known.complete.items():
                found[rule] = max(at, found.get(rule, at))
        return found

    def too_late(self) -> Mapping[str, tuple[int, datetime]]:
        """Return, by rule, how many signals came too late in all partitions, and when the last did."""
        found: dict[str, tuple[int, datetime]] = {}
        for known in self._known():
            for rule, (count, last) in known.too_late.items():
                before, latest = found.get(rule, (0, last))
                found[rule] = before + count, max(last, latest)
        return found

    def _known(self) -> list[Known]:
        with self._database.read() as connection:
            return known_of(connection, self._active())
