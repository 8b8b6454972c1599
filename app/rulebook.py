"""The rules folder and the set that is active: load, check, activate, keep the last good one (decision 11).

The folder is the only source. A set is content-addressed: its texts are stored under the hash before it is activated, so that any
replay finds the very texts again. Activation is a journal record; what was judged before it was judged by the old set.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy import Connection

from app.approval import Approval
from app.inferring import Inferring
from app.metrics import Metrics, Sample
from app.pace import beside_others
from app.rule_folder import Settled, held, read_folder
from app.rules_shown import samples_of
from app.synced import offer, refused, synced
from app.workshop import Died, Progress, Refused, Unwanted, Workshop
from domain.errors import FengsuiError, FileProblems, NotFound, Problem, StoreUnavailable
from domain.messages import both
from domain.ports import Intake, Receipt
from domain.records import Prepared, RulesetEntry
from rules.load import load_rules, version_of
from rules.pauses import let_go
from rules.ruleset import RuleSet
from storage import risk, rule_versions
from storage.crashpoints import planted, reach
from storage.database import Database
from storage.rule_versions import Pin

DEATHS = 3  # of children over one candidate; then it is refused
LOGGED = 50  # problems of one refused set
HELD = 4  # rule sets in memory: the active one, the one before it, and what somebody looks at; ten thousand rules take 50 MB
log = structlog.get_logger(__name__)


def stored(connection: Connection, version: str) -> RuleSet:
    """Return a rule set of this data folder by its version.

    Raises:
        NotFound: the version was never stored here.
        FileProblems: its texts were written for another version of Fengsui.
    """
    texts = risk.ruleset_texts(connection, version)
    if texts is None:
        raise NotFound(both("rules.not_stored", version=version))
    return load_rules(texts)


class Rulebook:
    """The active set, the last refused one, and the way from one to the next.

    A candidate is looked at in a child process (`app.workshop`), where its new indicators are counted back too; only then does a record of
    the journal make it the active set, at whatever place that has come to. Until then the old set judges everything.
    """

    def __init__(
        self,
        folder: Path,
        database: Database,
        intake: Intake,
        metrics: Metrics,
        workshop: Workshop,
        approval: Approval,
        end: threading.Event | None = None,
        inferring: Inferring | None = None,
    ) -> None:
        """`folder` holds the packs; nothing is read before `refresh`. Once `end` is set no more candidates are wanted.

        `inferring` has the inferences of a set tried that is activated.
        """
        self._folder = folder
        self._database = database
        self._intake = intake
        self._metrics = metrics
        self._workshop = workshop
        self.inferring = inferring or Inferring(metrics)
        self.approval = approval
        self._end = end or threading.Event()
        self._cache: dict[str, RuleSet] = {}
        self._cached = threading.Lock()
        self._seen: Mapping[str, str] | None = None  # what the folder held when it was last dealt with
        self._settled = Settled(folder)
        self._lock = threading.Lock()
        self._activating: tuple[RuleSet, str, Future[list[Receipt]]] | None = None  # set, by whom, and the journal's answer
        self._deaths = 0  # of children over the candidate that the folder holds
        self.active = ""
        self.problems: list[Problem] = []
        self.failing: tuple[str, ...] = ()  # tests in the active set's own files, as they came out when it was activated
        self.preparing = ""  # the version that a child is looking at
        self.pinned: Pin | None = None  # what a person went back to
        metrics.sources.append(self._samples)

    @property
    def progress(self) -> Progress | None:
        """How far the child is that counts back, None where none does."""
        return self._workshop.progress

    @property
    def told(self) -> str:
        """Return how far that is, in both languages, "" where nothing is counted."""
        counted = self.progress
        return "" if counted is None else both("rule_life.counting", position=counted.position, head=counted.head)

    def load(self, version: str) -> RuleSet:
        """Return a stored set by its version; the pipeline's loader.

        Raises:
            NotFound: the version was never stored here.
        """
        found = self._cache.get(version)
        if found is None:
            with self._database.read() as connection:
                found = self._hold(stored(connection, version))
        return self._mixed(found) if planted("mixed_set") else found

    def _hold(self, ruleset: RuleSet) -> RuleSet:
        """Keep a set in memory; those that came longest ago make room."""
        with self._cached:
            self._cache[ruleset.version] = ruleset
            spare = [version for version in self._cache if version not in {self.active, ruleset.version}]
            gone = [rule for version in spare[: max(0, len(self._cache) - HELD)] for rule in self._cache.pop(version).rules]
        let_go(gone)
        return ruleset

    def _mixed(self, new: RuleSet) -> RuleSet:
        """Return what a swap in parts would give: the planted defect of the campaign `reloads`."""
        held = list(self._cache)
        place = held.index(new.version)
        if place == 0:
            return new
        old, last = self._cache[held[place - 1]], max((rule.pack for rule in new.rules), default="")
        rules = [rule for rule in new.rules if rule.pack != last] + [rule for rule in old.rules if rule.pack == last]
        return replace(new, rules=tuple(rules))

    def look(self) -> str:
        """Refresh once the folder has stood still between two looks: an editor may be half way through a file."""
        return self.refresh() if self._settled.look() else "same"

    def refresh(self, by: str = "system") -> str:
        """Activate what is wanted if it is new and sound; return what became of it: same, activated, waits, refused or died.

        It takes as long as the child does. A refused set changes nothing: the last good one runs on, its problems are in `problems`, in the
        log, in the metrics and on the rules page until the folder holds a sound set again.

        Raises:
            StoreUnavailable: an activation is not in the journal yet; the same one is waited for the next time.
        """
        with self._lock:
            self._settle()
            try:
                texts, author = self._choice()
            except FileProblems as error:
                self._seen = None
                return self._refuse(error.problems)
            if texts == self._seen:
                return "same"
            if version_of(texts) == self.active:
                self._done(texts)
                return "same"
            if not self.active and self._workshop.unused():
                return self._begin(texts, by)
            return self._consider(texts, author, by)

    def _choice(self) -> tuple[Mapping[str, str], str]:
        """Return the texts that are wanted, and who wants them ("" for the folder): the folder's, or those that a person went back to.

        What a person went back to holds for as long as the folder is as it was then; the folder's own files are never written.
        """
        pin = self.pinned
        if pin is not None:
            if held(self._folder) == pin.over:
                return self.load(pin.version).texts, pin.by
            log.info("rules.unpinned", version=pin.version, by=pin.by)
            with self._database.write() as connection:
                rule_versions.drop_pin(connection)
            self.pinned = None
        return read_folder(self._folder), ""

    def roll_back(self, version: str, by: str, now: datetime, reason: str) -> str:
        """Want a stored version from here on, until the folder changes; return its whole name. `settle` or the next look sees to it.

        Raises:
            NotFound: no stored version begins so.
            FileProblems: its texts were written for another version of Fengsui.
        """
        with self._database.read() as connection:
            known = rule_versions.activated(connection, version)
        self.load(known)
        pin = Pin(version=known, over=held(self._folder), by=by, at=now, reason=reason)
        with self._database.write() as connection:
            rule_versions.set_pin(connection, pin)
        self.pinned, self._seen = pin, None
        return pin.version

    def approve(self, version: str, by: str, reason: str) -> str:
        """Approve the candidate that waits, as `Approval.approve`; `settle` or the next look activates it."""
        told = self.approval.approve(version, by, reason)
        if told == "approved":
            self._seen = None
        return told

    def settle(self, seconds: float) -> None:
        """Do what was decided, for at most so long; what takes longer goes on in a thread of its own."""
        worker = threading.Thread(target=self._try, name="rules-decision", daemon=True)
        worker.start()
        worker.join(seconds)

    def _try(self) -> None:
        try:
            self.refresh()
        except (FengsuiError, OSError):
            log.exception("rules.decision_waits")  # the watch tries again

    def _begin(self, texts: Mapping[str, str], by: str) -> str:
        """Activate the first set of all; no child is asked, since there is nothing yet that it would keep safe."""
        try:
            ruleset = self._hold(load_rules(texts))
        except FileProblems as error:
            return self._refuse(error.problems)
        self._activate(ruleset, by, None)
        self._done(texts)
        return "activated"

    def _consider(self, texts: Mapping[str, str], author: str, by: str) -> str:
        """Have a child look at a candidate, and activate it if it is sound and nobody else has to approve it."""
        base = self.load(self.active).texts if self.active else {}
        self.preparing = version = version_of(texts)
        standing = self.approval.standing(version)
        if standing in {"pending", "refused"}:
            self.preparing = ""
            self._done(texts)
            return "waits"
        free = standing == "approved"
        try:
            found = self._workshop.look_at(texts, base, wanted=lambda: self._wanted(texts), count_back=free)
        finally:
            self.preparing = ""
        if isinstance(found, Unwanted | Died):
            return self._died(texts, found) if isinstance(found, Died) else "same"
        if isinstance(found, Refused):
            self._seen = texts
            return self._refuse(found.problems)
        if not free:
            self.approval.ask(version, texts, found, author)
            self._done(texts)
            return "waits"
        with beside_others():
            ruleset = self._hold(load_rules(texts))
        prepared = Prepared(first=found.first, artifact=found.artifact) if found.first else None
        for remark in found.remarks:
            log.warning("rules.remark", remark=remark, version=version)
        log.info("rules.prepared", version=ruleset.version, indicators=found.fresh, position=found.position)
        self._activate(ruleset, self.approval.approver(version) or author or by, prepared)
        self.failing = found.failed
        with self._database.write() as connection:
            rule_versions.keep_failing(connection, version, found.failed)
        for case in found.failed:
            log.error("rules.test_fails", test=case, version=version)
        self._done(texts)  # only now: an activation that the disk did not take is tried again
        return "activated"

    def _done(self, texts: Mapping[str, str]) -> None:
        self._seen, self.problems, self._deaths = texts, [], 0

    def _wanted(self, texts: Mapping[str, str]) -> bool:
        """Tell whether a candidate is still what is wanted."""
        try:
            return not self._end.is_set() and self._choice()[0] == texts
        except FileProblems:
            return False

    def _died(self, texts: Mapping[str, str], found: Died) -> str:
        """Try again at the next look what killed a child, a few times."""
        self._deaths += 1
        log.error("rules.child_died", how=found.how, times=self._deaths, still_active=self.active)
        if self._deaths < DEATHS:
            return "died"
        self._seen, self._deaths = texts, 0
        return self._refuse(
            [Problem(file=str(self._folder), line=0, column=0, message=both("rules.child_died", how=found.how, times=DEATHS))]
        )

    def _refuse(self, problems: list[Problem]) -> str:
        if problems == self.problems:
            return "same"
        self.problems = problems
        self._metrics.reloads.labels(outcome="refused").inc()
        for problem in problems[:LOGGED]:
            log.error("rules.refused", problem=str(problem), still_active=self.active, problems=len(problems))
        return "refused"

    def _activate(self, ruleset: RuleSet, by: str, prepared: Prepared | None) -> None:
        with self._database.write() as connection:
            risk.store_ruleset(connection, ruleset.version, ruleset.texts, by)
        reach("reload.before_swap")
        self._seen = None  # until it stands in the journal, what the folder holds is to be compared with the active set, not with this
        self._activating = ruleset, by, offer(self._intake, [RulesetEntry(version=ruleset.version, by=by, prepared=prepared)])
        self._settle()

    def _settle(self) -> None:
        """Wait until the activation under way, if one is, stands in the journal: what the pipeline will take up is what is active.

        Raises:
            StoreUnavailable: the journal refused it, or takes too long; the next look goes on waiting for the same record.
        """
        if self._activating is None:
            return
        ruleset, by, answer = self._activating
        try:
            synced(answer)
        except StoreUnavailable:
            if refused(answer):
                self._activating = None
            raise
        self._activating = None
        self.active = ruleset.version
        self.inferring.gate(ruleset)
        self._metrics.reloads.labels(outcome="activated").inc()
        log.info("rules.activated", version=ruleset.version, rules=len(ruleset.rules), by=by)

    def start(self, *, watched: bool = False) -> None:
        """Take up the set that was active before the restart, then look at the folder; where it is `watched` that can wait."""
        with self._database.read() as connection:
            self.active, self.pinned = risk.active_ruleset(connection), rule_versions.pin(connection)
            self.failing = rule_versions.failing(connection, self.active)
        if self.active:
            self.inferring.gate(self.load(self.active))
        if not (watched and self.active):
            self.refresh()

    def close(self) -> None:
        """End the children."""
        self._workshop.close()
        self.inferring.close()

    def current(self) -> RuleSet | None:
        """Return the active set, None before the first one was activated."""
        return self.load(self.active) if self.active else None

    def _samples(self) -> list[Sample]:
        return [Sample("fengsui_ruleset_broken", float(bool(self.problems))), *samples_of(self.current())]
