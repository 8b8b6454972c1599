"""durable-rules in its child: what it is asked and answers, what happens when it dies, and that no outcome depends on it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.inference import Clause, Production, Program
from rules.load import load_rules
from rules.matcher import Matcher
from streams.runtimes.inference import COMMAND, Child, ChildDied, SupervisedInference, Trouble, smoke_sets

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
SILENT = "import sys, time; time.sleep(60)"


@pytest.fixture
def children() -> Iterator[list[Child]]:
    """Collect children that a test starts, and end them."""
    started: list[Child] = []
    yield started
    for child in started:
        child.kill()


def _playing(code: str, patience: float = 10.0) -> Any:
    """Return what starts a child that runs `code` in the place of the library."""
    return lambda: Child((sys.executable, "-c", code), patience)


@pytest.mark.service("durable-rules")
def test_the_library_draws_the_matcher_s_conclusions(children: list[Child]) -> None:
    """Chains, alternatives and what is lacking, on every set of facts of the gate and for the shipped packs."""
    child = Child()
    children.append(child)
    for name, program in (("chain", CHAIN), ("packs", PROGRAM)):
        for facts in smoke_sets(program):
            assert child.ask(name, program, facts) == Matcher().infer(program, facts)


@pytest.mark.service("durable-rules")
def test_a_child_that_is_killed_loses_no_answer(children: list[Child]) -> None:
    """The question is put to the next child; the library goes on answering."""

    def start() -> Child:
        children.append(Child())
        return children[-1]

    inference = SupervisedInference(start=start)
    assert inference.gate(CHAIN) is None
    assert inference.infer(CHAIN, frozenset({"rule:x"})) == ("a",)
    os.kill(children[-1].pid, signal.SIGKILL)
    assert inference.infer(CHAIN, frozenset({"rule:x", "rule:y"})) == ("a", "b")
    status = inference.status()
    assert (status.engine, status.answered, status.stood_in, status.deaths) == ("durable-rules", 2, 0, 1)


@pytest.mark.service("durable-rules")
def test_a_child_is_replaced_after_its_sessions(children: list[Child], monkeypatch: pytest.MonkeyPatch) -> None:
    """No session is deleted, so the child is ended before the library's table of them is full."""
    monkeypatch.setattr("streams.runtimes.inference.SESSIONS", 3)

    def start() -> Child:
        children.append(Child())
        return children[-1]

    inference = SupervisedInference(start=start)
    assert inference.gate(CHAIN) is None
    for _ in range(7):
        assert inference.infer(CHAIN, frozenset({"rule:x"})) == ("a",)
    assert len(children) == 1 + 3  # the gate's, and three for the questions
    assert inference.status().deaths == 0


def test_a_rule_set_that_kills_the_library_is_retired_by_name() -> None:
    """The gate's child dies, the matcher answers, and the first inference of the shortest beginning that fails is named."""
    told: list[Trouble] = []
    inference = SupervisedInference(on_trouble=told.append, start=_playing(DEAD), available=True)
    assert inference.gate(CHAIN) == Trouble("a", "SIGSEGV")
    assert inference.infer(CHAIN, frozenset({"rule:x", "rule:y"})) == ("a", "b")
    assert told == [Trouble("a", "SIGSEGV")]
    assert (inference.status().engine, inference.status().reason) == ("stand-in", "SIGSEGV")
    assert inference.infer(CHAIN, frozenset()) == ()
    assert len(told) == 1, "said once"


def test_an_answer_that_is_wrong_never_goes_on() -> None:
    """A library that concludes too much is held against the matcher and retired."""
    told: list[Trouble] = []
    inference = SupervisedInference(on_trouble=told.append, start=_playing(LIAR), available=True)
    inference.gate(CHAIN)
    assert inference.infer(CHAIN, frozenset()) == ()
    assert told[0].how == "said a for nothing"
    assert inference.status().engine == "stand-in"


def test_a_question_never_waits_for_a_trial() -> None:
    """What nobody tried before it was activated is answered by the matcher alone, and no child is started for it."""
    inference = SupervisedInference(start=_playing(SILENT), available=True)
    assert inference.infer(CHAIN, frozenset({"rule:x"})) == ("a",)
    assert (inference.status().engine, inference.status().reason, inference.status().deaths) == ("stand-in", "not tried", 0)


def test_a_child_that_cannot_be_started_is_one_that_died() -> None:
    """A system without processes or memory to spare costs the second opinion, at the trial and later, and no record."""
    none: list[bool] = []

    def start() -> Child:
        if none:
            return Child(("/nowhere/python",))
        return Child((sys.executable, "-c", RIGHT))

    told: list[Trouble] = []
    inference = SupervisedInference(on_trouble=told.append, start=start, available=True)
    assert inference.gate(LONE) is None
    none.append(True)
    assert inference.infer(LONE, frozenset({"rule:x"})) == ("a",)
    assert told == [Trouble("", "not started: No such file or directory")]
    assert (inference.status().engine, inference.status().deaths) == ("stand-in", 2)
    assert inference.gate(CHAIN) == Trouble("a", "not started: No such file or directory")


def test_a_child_that_says_nothing_is_given_up() -> None:
    """The time for an answer is bounded; the process is gone afterwards."""
    child = _playing(SILENT, patience=0.2)()
    with pytest.raises(ChildDied) as died:
        child.ask("p", CHAIN, frozenset())
    assert died.value.how == "no answer within 0.2 s"


def test_without_the_library_the_matcher_answers_and_it_is_said() -> None:
    """Nothing is started; the status names the reason."""
    inference = SupervisedInference(start=_playing(DEAD), available=False)
    assert inference.infer(CHAIN, frozenset({"rule:x"})) == ("a",)
    assert inference.status().reason == "not installed"
    assert inference.status().stood_in == 1


def test_the_child_is_the_product_s_own_module() -> None:
    """What is started by default is this installation's, by this interpreter."""
    assert (sys.executable, "-m", "streams.runtimes.durable_child") == COMMAND
