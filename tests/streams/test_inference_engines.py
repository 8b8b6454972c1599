"""durable-rules in its child: what it is asked and answers, what happens when it dies, and that no outcome depends on it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.inference import Clause, Production, Program
from rules.load import load_rules
from rules.matcher import Matcher
from streams.runtimes.durable import COMMAND, Child, ChildDied, Trouble, smoke_sets
from streams.runtimes.inference import Status, SupervisedInference

PACKS = Path(__file__).parents[2] / "rules" / "packs"
PROGRAM = load_rules({path.name: path.read_text(encoding="utf-8") for path in sorted(PACKS.glob("*.yaml"))}).program()
CHAIN = Program(
    productions=(
        Production(id="a", clauses=(Clause(holds=("rule:x",)), Clause(holds=("rule:y",), lacks=("rule:z",)))),
        Production(id="b", clauses=(Clause(holds=("inference:a", "rule:y")),)),
        Production(id="c", clauses=(Clause(holds=("rule:y",), lacks=("inference:b",)),)),
        Production(id="d", clauses=(Clause(holds=("inference:c",), lacks=("inference:a",)),)),
    )
)
DEAD = "import sys; sys.stdin.buffer.readline(); import os; os.kill(os.getpid(), 11)"
LIAR = 'import sys\nfor line in sys.stdin: print(\'{"loaded": "p"}\' if \'load\' in line else \'{"found": ["a"]}\', flush=True)'
RIGHT = (
    "import json, sys\nfor line in sys.stdin: asked = json.loads(line); "
    'print(json.dumps({"found": ["a"] if "rule:x" in asked.get("facts", []) else []}), flush=True)'
)
LONE = Program(productions=(Production(id="a", clauses=(Clause(holds=("rule:x",)),)),))
TURNING = (
    "import json, sys\nfor line in sys.stdin: asked = json.loads(line); facts = asked.get('facts', []); "
    'print(json.dumps({"found": ["a"] if "rule:x" in facts or "rule:other" in facts else []}), flush=True)'
)
SILENT = "import sys, time\nfor line in sys.stdin: time.sleep(60)"
DEAF = "import time; time.sleep(60)"
BABBLING = "import sys, time\nfor line in sys.stdin: print('hello', flush=True)"
LARGE = Program(productions=tuple(Production(id=f"i{number}", clauses=CHAIN.productions[0].clauses) for number in range(2_000)))
PATIENCE = 20.0
Supervised = Callable[..., SupervisedInference]


@pytest.fixture
def supervised() -> Iterator[Supervised]:
    """Return what makes an inference with children of a test; each ends with the test."""
    made: list[SupervisedInference] = []

    def one(
        start: Callable[[], Child], on_trouble: Callable[[Trouble], object] = lambda _trouble: None, *, available: bool = True, **kw: int
    ) -> SupervisedInference:
        made.append(SupervisedInference(start=start, on_trouble=on_trouble, available=available, **kw))
        return made[-1]

    yield one
    for inference in made:
        inference.close()


def _playing(code: str, patience: float = 10.0) -> Any:
    """Return what starts a child that runs `code` in the place of the library."""
    return lambda: Child((sys.executable, "-c", code), patience)


@pytest.mark.service("durable-rules")
def test_the_library_draws_the_matcher_s_conclusions() -> None:
    """Chains, alternatives and what is lacking, on every set of facts of the gate and for the shipped packs."""
    child = Child()
    try:
        for name, program in (("chain", CHAIN), ("packs", PROGRAM)):
            for facts in smoke_sets(program):
                assert child.ask(name, program, facts) == Matcher().infer(program, facts)
    finally:
        child.kill()


@pytest.mark.service("durable-rules")
def test_a_child_that_is_killed_loses_no_answer(supervised: Supervised) -> None:
    """The question is put to the next child; the library goes on checking."""
    children: list[Child] = []

    def start() -> Child:
        children.append(Child())
        return children[-1]

    inference = supervised(start)
    assert inference.infer(CHAIN, frozenset({"rule:x"})) == ("a",)
    assert inference.settle(PATIENCE)
    os.kill(children[-1].pid, signal.SIGKILL)
    assert inference.infer(CHAIN, frozenset({"rule:x", "rule:y"})) == ("a", "b")
    assert inference.settle(PATIENCE)
    assert inference.status() == Status(agreed=2, differed=0, died=0, alone=0, passed_over=0, deaths=1)
    assert inference.trouble(CHAIN) is None


@pytest.mark.service("durable-rules")
def test_a_child_is_replaced_after_its_sessions(supervised: Supervised, monkeypatch: pytest.MonkeyPatch) -> None:
    """No session is deleted, so the child is ended before the library's table of them is full."""
    monkeypatch.setattr("streams.runtimes.inference.SESSIONS", 3)
    children: list[Child] = []

    def start() -> Child:
        children.append(Child())
        return children[-1]

    inference = supervised(start)
    for _ in range(7):
        assert inference.infer(CHAIN, frozenset({"rule:x"})) == ("a",)
    assert inference.settle(PATIENCE)
    assert len(children) == 1 + 3  # the trial's, and three for the questions
    assert (inference.status().agreed, inference.status().deaths) == (7, 0)


@pytest.mark.service("durable-rules")
def test_many_threads_ask_at_once(supervised: Supervised) -> None:
    """Four threads, two programs and one child: each has its own answers, and all of them are checked."""
    inference = supervised(Child)
    found: dict[int, list[tuple[str, ...]]] = {}

    def ask(number: int) -> None:
        program = CHAIN if number % 2 else LONE
        found[number] = [inference.infer(program, frozenset({"rule:x"} if turn % 2 else ())) for turn in range(20)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert found == {number: [(), ("a",)] * 10 for number in range(4)}
    assert inference.settle(60.0)
    assert inference.status() == Status(agreed=80, differed=0, died=0, alone=0, passed_over=0, deaths=0)


def test_a_rule_set_that_kills_the_library_is_retired_by_name(supervised: Supervised) -> None:
    """The trial's child dies, the matcher answers, and the first inference of the shortest beginning that fails is named, once."""
    told: list[Trouble] = []
    inference = supervised(_playing(DEAD), told.append)
    inference.gate(CHAIN)
    assert inference.infer(CHAIN, frozenset({"rule:x", "rule:y"})) == ("a", "b")
    assert inference.infer(CHAIN, frozenset()) == ()
    inference.gate(CHAIN)
    assert inference.settle(PATIENCE)
    assert told == [Trouble("a", "SIGSEGV")]
    assert inference.trouble(CHAIN) == told[0]
    assert inference.status().alone == 2


def test_an_answer_that_is_wrong_never_goes_on(supervised: Supervised) -> None:
    """A library that concludes too much at a question, not at its trial, differs from the matcher twice and is retired."""
    told: list[Trouble] = []
    inference = supervised(_playing(TURNING), told.append)
    inference.gate(LONE)
    assert inference.settle(PATIENCE)
    assert told == []
    assert inference.infer(LONE, frozenset({"rule:other"})) == ()
    assert inference.settle(PATIENCE)
    assert told == [Trouble("", "said a for nothing")]
    assert inference.infer(LONE, frozenset({"rule:x"})) == ("a",)
    assert inference.settle(PATIENCE)
    assert (inference.status().differed, inference.status().alone) == (1, 1)


def test_what_nobody_tried_is_tried_before_its_first_question(supervised: Supervised) -> None:
    """A library that concludes too much is found out by the trial, whoever forgot to ask for it."""
    told: list[Trouble] = []
    inference = supervised(_playing(LIAR), told.append)
    assert inference.infer(CHAIN, frozenset()) == ()
    assert inference.settle(PATIENCE)
    assert told == [Trouble("a", "said a for nothing")]


@pytest.mark.parametrize("code", ["SILENT", "DEAF"])
def test_nobody_waits_for_a_child_that_hangs(supervised: Supervised, code: str) -> None:
    """It answers nothing, or does not even read: thousands of questions are answered meanwhile, and closing does not wait either."""
    started: list[Child] = []

    def start() -> Child:
        started.append(Child((sys.executable, "-c", {"SILENT": SILENT, "DEAF": DEAF}[code]), patience=600.0))
        return started[-1]

    inference = supervised(start)
    inference.gate(LARGE)
    began = time.monotonic()
    for _ in range(5_000):
        assert inference.infer(CHAIN, frozenset({"rule:x"})) == ("a",)
    inference.close()
    assert time.monotonic() - began < PATIENCE
    assert inference.infer(CHAIN, frozenset({"rule:x"})) == ("a",), "who asks late is answered too"
    for child in started:
        with pytest.raises(ProcessLookupError):
            os.kill(child.pid, 0)


def test_a_child_that_hangs_is_ended_and_the_library_retired(supervised: Supervised) -> None:
    """After its time, twice; another program is tried on a child of its own, and the library goes on for that."""
    told: list[Trouble] = []

    def start() -> Child:
        return Child((sys.executable, "-c", RIGHT if told else SILENT), patience=20.0 if told else 0.3)

    inference = supervised(start, told.append)
    inference.gate(Program(productions=CHAIN.productions[:1]))
    assert inference.settle(PATIENCE)
    assert told == [Trouble("a", "no answer within 0.3 s")]
    assert inference.infer(LONE, frozenset({"rule:x"})) == ("a",)
    assert inference.settle(PATIENCE)
    assert (inference.trouble(LONE), inference.status().agreed) == (None, 1)


def test_more_than_there_is_room_for_is_passed_over_and_counted(supervised: Supervised) -> None:
    """The answers are the same, what waits has an end, and nothing looks checked that was not."""
    inference = supervised(_playing(SILENT), room=3)
    inference.gate(LONE)
    for _ in range(10):
        assert inference.infer(LONE, frozenset({"rule:x"})) == ("a",)
    assert inference.status().passed_over in {7, 8}  # the trial waits too, until the thread takes it


def test_a_child_that_cannot_be_started_is_one_that_died(supervised: Supervised) -> None:
    """A system without processes or memory to spare costs the second opinion, at the trial and later, and no record."""
    none: list[bool] = []

    def start() -> Child:
        if none:
            return Child(("/nowhere/python",))
        return Child((sys.executable, "-c", RIGHT))

    told: list[Trouble] = []
    inference = supervised(start, told.append)
    inference.gate(LONE)
    assert inference.settle(PATIENCE)
    none.append(True)
    assert inference.infer(LONE, frozenset({"rule:x"})) == ("a",)
    assert inference.settle(PATIENCE)
    assert told == [Trouble("", "not started: No such file or directory")]
    assert (inference.status().died, inference.status().deaths) == (1, 2)
    inference.gate(CHAIN)
    assert inference.settle(PATIENCE)
    assert inference.trouble(CHAIN) == Trouble("a", "not started: No such file or directory")


@pytest.mark.parametrize(
    ("code", "how"), [(SILENT, "no answer within 0.2 s"), (DEAF, "no answer within 0.2 s"), (BABBLING, "JSON is malformed")]
)
def test_a_child_that_says_nothing_of_use_is_given_up(code: str, how: str) -> None:
    """The time for an answer is bounded, for one that reads nothing too, and what is no answer is none; the process is gone afterwards."""
    child = _playing(code, patience=0.2 if code != BABBLING else 20.0)()
    with pytest.raises(ChildDied) as died:
        child.ask("p", LARGE, frozenset())
    assert died.value.how.startswith(how)
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_without_the_library_the_matcher_answers_and_it_is_counted(supervised: Supervised) -> None:
    """Nothing is started."""
    inference = supervised(_playing(DEAD), available=False)
    inference.gate(CHAIN)
    assert inference.infer(CHAIN, frozenset({"rule:x"})) == ("a",)
    assert inference.status() == Status(agreed=0, differed=0, died=0, alone=1, passed_over=0, deaths=0)


def test_the_child_is_the_product_s_own_module() -> None:
    """What is started by default is this installation's, by this interpreter."""
    assert (sys.executable, "-m", "streams.runtimes.durable_child") == COMMAND
