"""Indicators as the engine runs them: what follows from the rule set alone, so that none of it is in a snapshot."""

from __future__ import annotations

import re
from typing import Final

from domain.objects import Resolution
from domain.records import SignalEntry
from domain.signals import Signal
from rules.facts import Facts
from rules.ruleset import By, Expression, Indicator, RuleSet
from streams.stages.cells import KEPT
from streams.stages.making import cell_of, unseen
from streams.stages.windows import frame

# Fields with few values: whether an indicator that reads only these selects a signal is found out once per combination.
DISCRETE: Final = frozenset({"source", "kind", "matter", "severity"})
ANOMALY: Final = "anomaly"
PEERS: Final = "peers"
_NAMED: Final = re.compile(r"([$@])([\w-]+)")  # parameters and lists


class Plan:
    """An indicator as this stage runs it."""

    __slots__ = (
        "by",
        "cell",
        "definition",
        "formula",
        "frame",
        "indicator",
        "inputs",
        "keeps",
        "name",
        "of",
        "own",
        "picky",
        "score",
        "unseen",
        "where",
    )

    def __init__(self, indicator: Indicator, definition: object) -> None:
        self.name = indicator.name
        self.indicator = indicator
        self.definition = definition
        self.by: By = indicator.by
        self.own = indicator.as_of == "own"
        self.cell = cell_of(indicator)
        self.unseen = unseen(indicator)
        self.picky = indicator.window is not None and indicator.window.kind == "daily"  # its cells do not take every correction
        self.frame = frame(indicator.window)
        boundless = indicator.window is None and indicator.base is None
        self.keeps = max(KEPT, indicator.needs) if boundless else 0  # signals of a key; 0: what the window holds
        self.score = indicator.aggregate == ANOMALY
        self.formula = indicator.formula
        self.inputs = indicator.inputs
        self.where = indicator.where
        self.of = indicator.of


def meaning(expression: Expression | None, ruleset: RuleSet, pack: str) -> tuple[str, ...]:
    """Return what identifies an expression: what it says, and what its parameters and lists stand for (not told: in this version)."""
    if expression is None:
        return ()
    known = {"$": ruleset.params.get(pack, {}), "@": {name[len("lists/") : -len(".txt")]: told for name, told in ruleset.texts.items()}}
    meant = (known[sign].get(name, ruleset.version) for sign, name in _NAMED.findall(expression.text))
    return (expression.text, *expression.fields, *meant)


def definition_of(indicator: Indicator, ruleset: RuleSet) -> object:
    """Return what an indicator's state depends on: two with equal definitions may share their state, whatever they are titled."""
    if indicator.aggregate == ANOMALY:
        source = ruleset.indicators.get(indicator.input)
        return (ANOMALY, indicator.detector, indicator.input, definition_of(source, ruleset) if source else None)
    if indicator.aggregate == PEERS:
        source = ruleset.indicators.get(indicator.input)
        return (PEERS, definition_of(source, ruleset) if source else None, indicator.by, indicator.take, indicator.rank, indicator.needs)
    pack = indicator.name.rpartition(".")[0]
    if indicator.formula is not None:
        return (indicator.aggregate, meaning(indicator.formula, ruleset, pack))
    window = indicator.window
    base = definition_of(indicator.base, ruleset) if indicator.base is not None else None
    return (
        indicator.aggregate,
        (window.kind, window.length, window.exact) if window else None,
        meaning(indicator.where, ruleset, pack),
        meaning(indicator.of, ruleset, pack),
        indicator.as_of,
        indicator.by,
        indicator.needs,
        indicator.rank,
        indicator.per,
        indicator.end,
        base,
        indicator.periods,
        indicator.take,
        indicator.below,
    )


def fresh_names(ruleset: RuleSet, before: RuleSet) -> tuple[str, ...]:
    """Return the indicators of `ruleset` that have no state under `before`, in order: those that it adds or defines otherwise."""
    known = {name: definition_of(each, before) for name, each in before.indicators.items()}
    return tuple(name for name, each in ruleset.indicators.items() if known.get(name) != definition_of(each, ruleset))


def kinds_of(ruleset: RuleSet) -> tuple[tuple[int, ...], tuple[By, ...]]:
    """Return what indicators and rules are about beside objects: the digits of regions, and the other groups."""
    kinds: dict[By, None] = dict.fromkeys((*(each.by for each in ruleset.indicators.values()), *(rule.by for rule in ruleset.rules)))
    return tuple(sorted(by for by in kinds if isinstance(by, int))), tuple(by for by in kinds if by != "object" and not isinstance(by, int))


def settles(expression: Expression) -> bool:
    """Tell whether what is false with some fields unknown stays false once they are known.

    In the rule language it is so (three-valued logic), unless `has` asks what is known. A closure that cannot explain itself was not made
    by the language, and nothing is assumed of it.
    """
    return (
        expression.explainer is not None
        and not expression.regional
        and "has" not in expression.text
        and "occurred_at" not in expression.fields
    )


def blank(facts: Facts) -> Facts:
    """Return the facts with nothing known but the discrete fields; the time of a signal cannot be left out."""
    entry = facts.entry
    told = entry.signal
    signal = Signal(
        id="", source=told.source, kind=told.kind, occurred_at=told.occurred_at, matter=told.matter, severity=told.severity
    )  # fmt: skip
    return Facts(SignalEntry(feed="", signal=signal, resolution=Resolution(), digest=""), None)
