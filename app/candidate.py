"""The child that looks at a rule set before it may run: checks it, tests it, and counts new indicators back.

`app.workshop` starts it, at the lowest priority and in a process of its own: what a rule text does to whoever reads it, it does here.
It reads the journal that `serve` is writing, writes nothing but the artifact, and ends with its parent. A task is one line of JSON on
standard input, so is each message on standard output.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

import msgspec

from app.workshop import Message, Progress, Refused, Sound, Task
from models.registry import REGISTRY
from rules.load import check, load_rules
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


def main() -> int:
    """Do the task on standard input; 0 where the set is sound, 1 where it is refused."""
    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(CHECK_SECONDS)
    found = _look(task)
    _say(found)
    return int(isinstance(found, Refused))


def _end_with_parent() -> None:
    """Wait until the other end of standard input is closed: by a parent that wants no more of this, or by its death."""
    sys.stdin.buffer.read()
    os._exit(1)


def _say(message: Message) -> None:
    try:
        sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os._exit(1)


def _look(task: Task) -> Refused | Sound:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (CHECK_BYTES, hard))
    ruleset, problems = check(task.texts, feed_delays=task.delays)
    if ruleset is None:
        return Refused(problems=[problem for problem in problems if problem.severity == "error"])
    remarks = tuple(str(problem) for problem in problems[:SHOWN])
    sound = Sound(rules=len(ruleset.rules), indicators=len(ruleset.indicators), remarks=remarks)
    signal.alarm(CHECK_SECONDS)  # anew: reading the files has its own
    failed = [f"{each.case.file}:{each.case.line} {each.case.name}" for each in run_cases(ruleset, REGISTRY) if not each.passed]
    sound = msgspec.structs.replace(sound, tests=len(ruleset.cases), failed=tuple(failed[:SHOWN]))
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    signal.alarm(0)
    return _count_back(task, sound, ruleset) if task.count_back else sound


def _count_back(task: Task, sound: Sound, ruleset: RuleSet) -> Sound:
    """Read the journal from its first record to near its end, and write down what the new indicators have then."""
    scope = scope_of(ruleset, load_rules(task.base) if task.base else EMPTY)
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
    sys.exit(main())
