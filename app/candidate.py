"""The child that looks at a rule set before it may run: checks it, tests it, and counts new indicators back.

`app.workshop` starts it, at the lowest priority and in a process of its own: what a rule text does to whoever reads it, it does here.
It reads the journal that `serve` is writing, writes nothing but the artifact, and ends with its parent. A task is one line of JSON on
standard input, so is each message on standard output; after the answer it waits for the next task.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import msgspec

from app.workshop import Message, Progress, Refused, Sound, Task
from models.registry import REGISTRY
from rules.load import check, load_rules, version_of
from rules.ruleset import EMPTY, RuleSet
from storage.artifacts import ArtifactStore
from storage.journal_folder import JournalFolder
from streams.ruletest import run_cases
from streams.stages.backfill import Backfill, scope_of

CHECK_SECONDS: Final = 120  # of the child's own time; then the system ends it
CHECK_BYTES: Final = 2 * 2**30  # of memory, while it checks
NEAR: Final = 256  # records: so close behind the journal's end the running service goes on by itself
ROUNDS: Final = 20  # at most, where the journal grows faster than it is read
REPORT_SECONDS: Final = 0.5
SHOWN: Final = 20  # failing tests, and remarks


def main() -> None:
    """Do the tasks on standard input until it is closed."""
    tasks: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    known = EMPTY
    while True:
        known = _do(msgspec.json.decode(tasks.get(), type=Task), known)


def _listen(tasks: SimpleQueue[bytes]) -> None:
    """Hand on the lines of standard input until its other end is closed: by a parent that wants no more of this, or by its death."""
    for line in sys.stdin.buffer:
        tasks.put(line)
    os._exit(1)


def _do(task: Task, known: RuleSet) -> RuleSet:
    """Do one task and say what became of it; return the set that the next one is likely to start from."""
    base = known if known.version == version_of(task.base) else load_rules(task.base) if task.base else EMPTY
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (CHECK_BYTES, hard))
    try:
        found, ruleset = _look(task)
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    if isinstance(found, Sound) and task.count_back:
        found = _count_back(task, found, ruleset, base)
    _say(found)
    return ruleset if isinstance(found, Sound) else base


def _say(message: Message) -> None:
    try:
        sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(1)


def _look(task: Task) -> tuple[Refused | Sound, RuleSet]:
    """Return what is said of the texts, and the set that they are (the empty one where they are none)."""
    signal.alarm(CHECK_SECONDS)
    ruleset, problems = check(task.texts, feed_delays=task.delays)
    if ruleset is None:
        return Refused(problems=[problem for problem in problems if problem.severity == "error"]), EMPTY
    remarks = tuple(str(problem) for problem in problems[:SHOWN])
    sound = Sound(rules=len(ruleset.rules), indicators=len(ruleset.indicators), remarks=remarks)
    signal.alarm(CHECK_SECONDS)  # anew: reading the files has its own
    results = list(run_cases(ruleset, REGISTRY))
    failed = [f"{each.case.file}:{each.case.line} {each.case.name}" for each in results if not each.passed]
    return msgspec.structs.replace(sound, tests=len(results), failed=tuple(failed[:SHOWN])), ruleset


def _count_back(task: Task, sound: Sound, ruleset: RuleSet, base: RuleSet) -> Sound:
    """Read the journal from its first record to near its end, and write down what the new indicators have then."""
    scope = scope_of(ruleset, base)
    sound = msgspec.structs.replace(sound, fresh=scope.names)
    journal = JournalFolder(Path(task.journal))
    head, first = journal.head(), journal.first()
    if not scope.names or head < first:
        return sound
    fill = Backfill(ruleset, scope, REGISTRY, task.waiting_limit)
    fill.position = first - 1
    aside = frozenset(task.aside)
    told = time.monotonic()
    for _ in range(ROUNDS):
        for record in journal.read(fill.position):
            if record.seq not in aside:
                fill.take(record)
            if time.monotonic() - told > REPORT_SECONDS:
                told = time.monotonic()
                _say(Progress(position=fill.position, head=journal.head()))
        if journal.head() - fill.position <= NEAR:
            break
    name = ArtifactStore(Path(task.artifacts)).put(fill.dump())
    return msgspec.structs.replace(sound, first=first, artifact=name, position=fill.position)


if __name__ == "__main__":
    main()
