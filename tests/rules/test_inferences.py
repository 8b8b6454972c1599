"""Inferences as they are loaded: which clauses a condition becomes, in which order they are worked out, and what the matcher says."""

from __future__ import annotations

from datetime import datetime
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import FileProblems
from domain.inference import Clause, Production, Program, concluded, in_force, reasons
from rules.load import load_rules
from rules.matcher import Matcher
from rules.ruleset import RuleSet

HEAD = """pack: p
title: 测试
sector: gas
owner: 市住建局
plan: check
effective: {from: 2026-01-01}
indicators:
  leaks: {count: signals, where: kind == gas.leak, window: 7d}
rules:
  - {id: one, title: 一, status: active, basis: [某条], when: leaks >= 1, points: 10, say: 一}
  - {id: two, title: 二, status: active, basis: [某条], when: leaks >= 2, points: 10, say: 二}
  - {id: three, title: 三, status: active, basis: [某条], when: leaks >= 3, points: 10, say: 三}
inferences:
"""


def _load(*inferences: tuple[str, str]) -> RuleSet:
    lines = [f'  - {{id: {name}, title: 甲, status: active, basis: [某条], when: "{when}", say: 甲}}\n' for name, when in inferences]
    return load_rules({"p.yaml": HEAD + "".join(lines)})


def test_an_inference_comes_after_those_that_it_names() -> None:
    """The order of the program is that of the naming, wherever the inferences stand in the file."""
    ruleset = _load(("last", "one and not middle"), ("middle", "first or two"), ("first", "one"))
    assert [each.id for each in ruleset.inferences] == ["first", "middle", "last"]
    assert [each.id for each in ruleset.program().productions] == ["first", "middle", "last"]


def test_levels_are_read_as_so_high_at_least() -> None:
    """Each comparison of the level becomes facts of the kind "at least", so that none has to be listed for the higher ones."""
    clauses = {each.id: each.clauses for each in _load(("up", "level > yellow"), ("same", "one and level == yellow")).inferences}
    assert clauses["up"] == (Clause(holds=("level:gas>=orange",)),)
    assert clauses["same"] == (Clause(holds=("rule:one", "level:gas>=yellow"), lacks=("level:gas>=orange",)),)


def test_conditions_become_clauses_that_say_the_same() -> None:
    """Whatever stands, the clauses hold exactly where the condition as written is true."""
    condition = "one and (two or not three) and not (two and three) or three and not two and not (one or not 'x' in object.labels)"
    program = _load(("a", condition)).program()
    for one, two, three, label in product((False, True), repeat=4):
        names = {"rule:one": one, "rule:two": two, "rule:three": three, "label:x": label}
        facts = frozenset(name for name, so in names.items() if so)
        wanted = (one and (two or not three) and not (two and three)) or (three and not two and not (one or not label))
        assert bool(Matcher().infer(program, facts | {in_force("a")})) == wanted, facts


def test_an_inference_on_trial_is_in_the_program_of_trials_only() -> None:
    """What is on trial or a draft is never among what is delivered."""
    text = HEAD + "  - {id: a, title: 甲, status: shadow, when: one, say: 甲}\n  - {id: b, title: 乙, status: draft, when: one, say: 乙}\n"
    ruleset = load_rules({"p.yaml": text})
    assert ruleset.program() == Program()
    assert [each.id for each in ruleset.program(trial=True).productions] == ["a"]


def test_reasons_are_the_literals_of_all_clauses_that_hold() -> None:
    """An explanation names what holds and what is lacking, from every alternative that is met and from no other."""
    ruleset = _load(("a", "one and not two or one and three"), ("b", "a and not c"), ("c", "three and two"))
    facts = frozenset({"rule:one", "rule:three", *map(in_force, "abc")})
    found = Matcher().infer(ruleset.program(), facts)
    because = reasons(ruleset.program(), facts, frozenset(found))
    assert found == ("a", "b")
    assert because["a"] == (("rule:one", True), (in_force("a"), True), ("rule:two", False), ("rule:three", True))
    assert because["b"] == (("inference:a", True), (in_force("b"), True), ("inference:c", False))


def test_effective_dates_are_the_inference_s_own_or_its_pack_s() -> None:
    """They need a fact that says so; dates that end before they begin are told with their place."""
    own = "  - {id: a, title: 甲, status: active, basis: [某条], when: one, say: 甲, effective: {from: 2026-03-01, to: 2026-03-31}}\n"
    pack = "  - {id: b, title: 乙, status: active, basis: [某条], when: one, say: 乙}\n"
    first, second = load_rules({"p.yaml": HEAD + own + pack}).inferences
    assert (first.effective_from, first.effective_to) == (at_midnight("2026-03-01"), at_midnight("2026-04-01"))
    assert (second.effective_from, second.effective_to) == (at_midnight("2026-01-01"), None)
    assert first.production.clauses == (Clause(holds=("rule:one", in_force("a"))),)
    with pytest.raises(FileProblems, match=r"p\.yaml:14:105 .*2026-02-01"):
        load_rules({"p.yaml": HEAD + own.replace("to: 2026-03-31", "to: 2026-02-01")})


def at_midnight(day: str) -> datetime:
    """Return the beginning of a day in Asia/Shanghai."""
    return datetime.fromisoformat(f"{day}T00:00:00+08:00")


_FACTS = tuple(f"rule:f{number}" for number in range(6))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Return a small program within the language."""
    made: list[Production] = []
    for number in range(draw(st.integers(1, 5))):
        names = (*_FACTS, *(concluded(each.id) for each in made))
        clauses = []
        for _ in range(draw(st.integers(1, 3))):
            chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True))
            cut = draw(st.integers(1, len(chosen)))
            clauses.append(Clause(holds=tuple(chosen[:cut]), lacks=tuple(chosen[cut:])))
        made.append(Production(id=f"i{number}", clauses=tuple(clauses)))
    return Program(productions=tuple(made))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(programs(), st.frozensets(st.sampled_from(_FACTS)))
def test_what_is_found_is_a_model_and_nothing_less_is(program: Program, facts: frozenset[str]) -> None:
    """A production is found exactly where a clause of it holds under all that was found, and then it has reasons."""
    found = frozenset(Matcher().infer(program, facts))
    known = facts | {concluded(each) for each in found}
    for production in program.productions:
        holds = any(set(clause.holds) <= known and not set(clause.lacks) & known for clause in production.clauses)
        assert (production.id in found) == holds
    assert set(reasons(program, facts, found)) == found
