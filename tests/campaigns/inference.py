"""Campaign `inference`: durable-rules and the matcher draw the same conclusions, and a child that is killed loses none.

    python -m tests.campaigns.inference [--sets N] [--seed N] [--small] [--plant lacks_ignored|died_means_nothing]

First both are asked about random sets of facts, under the inferences of all shipped packs and under random small programs within the
language. Then one sequence of records goes through two pipelines, one with the matcher, one with the library in a child that is killed
before or during every third question: all outcomes are to be equal.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from domain.catalogue import Catalogue
from domain.findings import Outcome, WarningRaised, WarningUpdated
from domain.inference import Clause, Production, Program, concluded
from domain.levels import DEFAULT_LEVELS
from domain.objects import Resolution
from domain.ports import Inference
from domain.records import ObjectsEntry, Record, RulesetEntry
from domain.signals import ObjectRef
from rules.load import load_rules
from rules.matcher import Matcher
from streams.pipeline import Pipeline, PipelineSettings
from streams.runtimes import durable_child
from streams.runtimes.durable import Child, ChildDied, installed, name_of
from streams.runtimes.inference import SupervisedInference
from streams.stages import conclusions
from tests.campaigns.entry import Campaign, Run, play
from tests.factories import T0, make_entry, make_object
from tests.streams.worlds import rulesets

PACKS = Path(__file__).parents[2] / "rules" / "packs"
ASKED_OF_ONE = 25  # random sets of facts for each random program
LEAST_ANSWERED = 0.99  # share of the questions that the library has to answer itself
CHILD = "--child"
PLANTS = ("lacks_ignored", "died_means_nothing")


def packs_program() -> Program:
    """Return the inferences of all shipped packs."""
    return load_rules({path.name: path.read_text(encoding="utf-8") for path in sorted(PACKS.glob("*.yaml"))}).program()


def random_program(rng: random.Random) -> Program:
    """Return a small program within the language: up to eight productions of up to three clauses over up to ten facts."""
    facts = [f"rule:r{number}" for number in range(rng.randint(1, 10))]
    made: list[Production] = []
    for number in range(rng.randint(1, 8)):
        names = [*facts, *(concluded(each.id) for each in made)]
        clauses = []
        for _ in range(rng.randint(1, 3)):
            chosen = rng.sample(names, min(len(names), rng.randint(1, 5)))
            cut = rng.randint(1, len(chosen))
            clauses.append(Clause(holds=tuple(chosen[:cut]), lacks=tuple(chosen[cut:])))
        made.append(Production(id=f"i{number}", clauses=tuple(clauses)))
    return Program(productions=tuple(made))


def random_facts(rng: random.Random, program: Program) -> frozenset[str]:
    """Return some of the facts that a program names, few or many of them."""
    own = {concluded(each.id) for each in program.productions}
    named = dict.fromkeys(fact for each in program.productions for clause in each.clauses for fact in (*clause.holds, *clause.lacks))
    share = rng.random()
    return frozenset(fact for fact in named if fact not in own and rng.random() < share)


class Killed(Child):
    """A child that is killed before or during every third question, never twice for one."""

    rng = random.Random(0)
    spared = 0  # questions until the next one may be shot at
    kills = 0

    def ask(self, name: str, program: Program, facts: frozenset[str]) -> tuple[str, ...]:
        """Ask, perhaps a child that dies of it."""
        kind = type(self)
        if kind.spared or kind.rng.random() > 1 / 3:
            kind.spared = max(0, kind.spared - 1)
            return super().ask(name, program, facts)
        kind.spared, kind.kills = 2, kind.kills + 1
        if kind.rng.random() < 0.5:
            self._shoot()
            return super().ask(name, program, facts)
        shot = threading.Timer(kind.rng.random() * 0.002, self._shoot)
        shot.start()
        try:
            return super().ask(name, program, facts)
        finally:
            shot.join()
            self._shoot()

    def _shoot(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Losing:
    """The planted defect: nothing follows where the child died."""

    def infer(self, program: Program, facts: frozenset[str]) -> tuple[str, ...]:
        """Return the library's answer, nothing where it died."""
        child = Killed()
        try:
            return child.ask(name_of(program), program, facts)
        except ChildDied:
            return ()
        finally:
            child.kill()


def records(rng: random.Random, number: int) -> Iterator[Record]:
    """Yield signals about twenty objects, half of them with a bad credit grade, under a rule set with inferences."""
    things = tuple(make_object(id=f"o-{n}", credit="D" if n % 2 else "A", labels=("x",) if n % 3 else ()) for n in range(20))
    yield Record(seq=1, received_at=T0, entry=RulesetEntry(version="v1"))
    yield Record(seq=2, received_at=T0, entry=ObjectsEntry(version=1, objects=things))
    for seq in range(3, number + 3):
        about = f"o-{rng.randrange(20)}"
        now = T0 + timedelta(minutes=11 * seq)
        entry = make_entry(
            id=f"s{seq}",
            source=rng.choice(["complaint", "hotline", "iot"]),
            kind=rng.choice(["gas.leak", "gas.pressure", "fire.smoke"]),
            occurred_at=now,
            severity=rng.choice([0, 0, 1, 1, 2, 3]),
            value=rng.choice([None, 0.5, 3.0, 6.5, 9.0]),
            region="610113001",
            object=ObjectRef(id=about),
            resolution=Resolution(object_id=about, method="id", confidence=1.0),
        )
        yield Record(seq=seq, received_at=now, entry=entry)


def outcomes(inference: Inference, given: list[Record]) -> list[Outcome]:
    """Return what a pipeline makes of the records."""
    pipeline = Pipeline(DEFAULT_LEVELS, Catalogue(), rulesets().__getitem__, {}, PipelineSettings(), inference=inference)
    return pipeline.step(given)


def compare(rng: random.Random, sets: int, start: Callable[[], Child]) -> tuple[int, list[str]]:
    """Ask both about `sets` sets of facts; return of how many programs, and what fell short."""
    troubles: list[str] = []
    programs, packs = 1, packs_program()
    inference = SupervisedInference(on_trouble=lambda trouble: troubles.append(f"{trouble.production}: {trouble.how}"), start=start)
    for _ in range(sets * 2 // 5):
        inference.infer(packs, random_facts(rng, packs))
    inference.settle()
    left = sets - sets * 2 // 5
    while left > 0:
        program = random_program(rng)
        programs += 1
        for _ in range(min(left, ASKED_OF_ONE)):
            inference.infer(program, random_facts(rng, program))
        inference.settle()  # as it is asked in production: the room is for a rush
        left -= ASKED_OF_ONE
    inference.close()
    status = inference.status()
    said = [f"a program was retired: {trouble}" for trouble in troubles if "said" in trouble]
    if status.differed:
        said.append(f"{status.differed} answers differ")
    if status.agreed < sets * LEAST_ANSWERED:
        said.append(f"the library answered {status.agreed} of {sets} only: {'; '.join(troubles[:3])}")
    sys.stdout.write(f"{sets:,} sets of facts, {status.agreed:,} answered by durable-rules, {status.deaths} deaths of its own\n")
    return programs, said


def kill(rng: random.Random, number: int, plant: str) -> tuple[int, int, list[str]]:
    """Run the records through both pipelines; return the kills, the warnings compared, and what fell short."""
    Killed.rng, Killed.kills, Killed.spared = rng, 0, 0
    vars(conclusions)["MEMORY"] = 0  # so that every question is asked, not the first of its kind alone
    given = list(records(random.Random(rng.random()), number))
    supervised = SupervisedInference(start=Killed)
    Killed.spared = 10**6  # the gate is passed in peace: what is tried is a child that dies at work
    for version in rulesets().values():
        supervised.gate(version.program())
        supervised.gate(version.program(trial=True))
    supervised.settle()
    Killed.spared = 0
    wanted, found = outcomes(Matcher(), given), outcomes(Losing() if plant == "died_means_nothing" else supervised, given)
    supervised.settle()
    supervised.close()
    told = sum(isinstance(out, WarningRaised | WarningUpdated) and bool(out.warning.inferred) for out in wanted)
    short = []
    if wanted != found:
        first = next((place for place, (one, other) in enumerate(zip(wanted, found, strict=False)) if one != other), -1)
        short.append(f"outcomes differ from number {first} on, of {len(wanted)} and {len(found)}")
    status = supervised.status()
    unchecked = status.alone + status.died + status.differed + status.passed_over
    if not plant and unchecked > status.agreed // 100:
        short.append(f"the library was given up: {status.agreed} answers of its own, {unchecked} unchecked")
    if not Killed.kills or not told:
        short.append(f"{Killed.kills} kills and {told} warnings with inferences prove nothing")
    return Killed.kills, told, short


def child_without_lacks() -> None:
    """Run the planted child: what a clause asks to be lacking is left out of its rule."""
    own: Any = durable_child._literals
    durable_child._literals = lambda holds, _lacks: own(holds, ())
    durable_child.main()


def body(run: Run) -> tuple[list[str], str]:
    """Compare both engines, and kill the child of a running one."""
    if not installed():
        return ["durable-rules is not installed, run `make inference`"], "inference: nothing compared"
    planted = (sys.executable, "-m", CAMPAIGN.module, CHILD)
    rng = random.Random(run.seed)
    programs, short = compare(rng, run.count, (lambda: Child(planted)) if run.plant == "lacks_ignored" else Child)
    kills, told, lost = kill(rng, 60 if run.small else 1_500, run.plant)
    figures = f"{run.count:,} sets of facts under {programs} programs compared, {kills} kills, {told} warnings with inferences compared"
    return [*short, *lost], f"inference: seed {run.seed}, {figures}"


CAMPAIGN = Campaign(module="tests.campaigns.inference", about=__doc__, plants=PLANTS, counts="sets", full=10_000, small=400)

if __name__ == "__main__":
    if CHILD in sys.argv:  # the planted child, which is no campaign
        child_without_lacks()
        sys.exit()
    sys.exit(play(CAMPAIGN, body))
