"""The child process in which durable-rules runs: a line of JSON in, a line of JSON out.

    {"load": NAME, "program": PROGRAM}   -> {"loaded": NAME}
    {"ask": NAME, "facts": [FACT, ...]}  -> {"found": [ID, ...]}

Each question is a session of its own: the facts are asserted, and so is what is not so (`lacks`), first of the facts given, then, in the
order of the program, of each inference that was not concluded. A session is never deleted: durable-rules 2.0.28 frees a session's joins
before it walks them to free its facts (`deleteStateNode` in state.c), which kills the process. Its parent ends the child after so many
sessions instead. Nothing else may be written to stdout, so that is given to the protocol alone.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from domain.inference import Program, concluded

LATER: Final = 5  # niceness: nobody waits for the answer, and whoever judges goes first
MOST_SECONDS: Final = 60  # of computing, in its whole life: one that goes round in circles ends, though its parent was killed
MOST_BYTES: Final = 2**30  # of address space: durable-rules has been seen to grow without end
HOLDS: Final = "t"  # the field of an asserted fact that is so
LACKS: Final = "n"  # of one that is not


class Rules:
    """A program as a rule set of durable-rules: each clause is a join of facts, each conclusion a new fact."""

    def __init__(self, name: str, program: Program, engine: Any) -> None:
        """Hand the program to `engine`, the module `durable.engine`."""
        self._name = name
        self._program = program
        self._engine = engine
        self._found: dict[str, None] = {}
        self._sessions = 0
        named = [fact for each in program.productions for clause in each.clauses for fact in (*clause.holds, *clause.lacks)]
        own = {concluded(each.id) for each in program.productions}
        self._code = {fact: f"f{number}" for number, fact in enumerate(dict.fromkeys([*named, *sorted(own)]))}
        self._asked = {
            HOLDS: {fact for each in program.productions for clause in each.clauses for fact in clause.holds},
            LACKS: {fact for each in program.productions for clause in each.clauses for fact in clause.lacks},
        }
        self._given = [fact for fact in self._code if fact not in own]
        rules = {
            f"r{number}_{place}": {
                "all": [{f"m{at}": {field: self._code[fact]}} for at, (field, fact) in enumerate(_literals(clause.holds, clause.lacks))],
                "run": self._conclude(each.id),
            }
            for number, each in enumerate(program.productions)
            for place, clause in enumerate(each.clauses)
        }
        self._host = engine.Host()
        self._host.set_rulesets({name: rules})

    def _conclude(self, inference: str) -> Callable[[Any], None]:
        def run(closure: Any) -> None:
            if inference not in self._found:
                self._found[inference] = None
                self._put(HOLDS, concluded(inference), closure.assert_fact)

        return run

    def _put(self, field: str, fact: str, put: Callable[[dict[str, str]], object]) -> None:
        """Assert a fact that some clause asks for; that it completes no rule is no error."""
        if fact in self._asked[field]:
            try:
                put({field: self._code[fact], "sid": str(self._sessions)})
            except self._engine.MessageNotHandledException:
                return

    def ask(self, facts: Iterable[str]) -> list[str]:
        """Return what is concluded from `facts` in a new session."""
        self._found = {}
        self._sessions += 1
        known = frozenset(facts)

        def put(fact: dict[str, str]) -> object:
            return self._host.assert_fact(self._name, fact)

        for fact in self._given:
            self._put(HOLDS if fact in known else LACKS, fact, put)
        for each in self._program.productions:
            if each.id not in self._found:
                self._put(LACKS, concluded(each.id), put)
        return [each.id for each in self._program.productions if each.id in self._found]


def _literals(holds: Iterable[str], lacks: Iterable[str]) -> list[tuple[str, str]]:
    return [*((HOLDS, fact) for fact in holds), *((LACKS, fact) for fact in lacks)]


def main() -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.nice(LATER)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    from durable import engine  # noqa: PLC0415  # only here: nothing else may load it

    known: dict[str, Rules] = {}
    for line in sys.stdin.buffer:
        said = msgspec.json.decode(line)
        if "load" in said:
            known[said["load"]] = Rules(said["load"], msgspec.convert(said["program"], Program), engine)
            answer: dict[str, Any] = {"loaded": said["load"]}
        else:
            answer = {"found": known[said["ask"]].ask(said["facts"])}
        answers.write(msgspec.json.encode(answer) + b"\n")


if __name__ == "__main__":
    main()
