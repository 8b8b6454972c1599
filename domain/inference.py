"""Inference (推断): what follows from the findings of one object, as data that any engine can run.

A fact is a text: `rule:gas-leak` (the rule stands), `level:gas>=orange` (the sector's level is at least that), `label:学校食堂`,
`object.credit=D`, `inference:unattended-leak` (it was concluded), `effective:unattended-leak` (today lies
between its effective dates). What is not among the facts is not so.
"""

from __future__ import annotations

from collections.abc import Mapping

from domain.base import Noun

MOST_LITERALS = 12  # of one clause: durable-rules joins at most 16 facts
MOST_CLAUSES = 32  # of one production


class Clause(Noun, frozen=True, kw_only=True):
    """Holds where every fact of `holds` is so and none of `lacks` is."""

    holds: tuple[str, ...]
    lacks: tuple[str, ...] = ()


class Production(Noun, frozen=True, kw_only=True):
    """Concludes `concluded(id)` where at least one of its clauses holds."""

    id: str
    clauses: tuple[Clause, ...]


class Program(Noun, frozen=True, kw_only=True):
    """Productions, each after all those that its clauses name: so there is one set of conclusions, whoever works it out."""

    productions: tuple[Production, ...] = ()


def concluded(inference: str) -> str:
    """Return the fact that an inference was concluded."""
    return f"inference:{inference}"


def in_force(inference: str) -> str:
    """Return the fact that it is a day between the effective dates of an inference."""
    return f"effective:{inference}"


def stands(rule: str) -> str:
    """Return the fact that a rule stands: its contribution to a score has not faded to nothing."""
    return f"rule:{rule}"


def reached(sector: str, level: str) -> str:
    """Return the fact that the object's level in a sector is this one or a higher one."""
    return f"level:{sector}>={level}"


def labelled(label: str) -> str:
    """Return the fact that the object has a label."""
    return f"label:{label}"


def described(field: str, value: str) -> str:
    """Return the fact that a field of the object has a value, as `object.credit=D`."""
    return f"{field}={value}"


def reasons(program: Program, facts: frozenset[str], found: frozenset[str]) -> Mapping[str, tuple[tuple[str, bool], ...]]:
    """Return, by the id of each production in `found`, the facts that it rests on: (fact, whether it holds or is lacking).

    These are the literals of all of its clauses that hold, each once, in the order in which they are written. `found` are all conclusions.
    """
    known = facts | {concluded(each) for each in found}
    because: dict[str, tuple[tuple[str, bool], ...]] = {}
    for production in program.productions:
        if production.id not in found:
            continue
        met: dict[tuple[str, bool], None] = {}
        for clause in production.clauses:
            if known.issuperset(clause.holds) and known.isdisjoint(clause.lacks):
                met.update(dict.fromkeys([*((fact, True) for fact in clause.holds), *((fact, False) for fact in clause.lacks)]))
        because[production.id] = tuple(met)
    return because
