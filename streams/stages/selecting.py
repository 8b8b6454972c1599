"""Which indicators select a signal (选取): found out once for each combination of the fields with few values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rules.facts import Facts
from streams.stages.plans import DISCRETE, Plan, blank, settles

Combination = tuple[str, str, str, int]  # source, kind, matter, severity
COMBINATIONS: Final = 65_536  # remembered; then the memory starts again
Selection = tuple[tuple[Plan, ...], frozenset[str]]  # the indicators that may select, and the names of those that must be asked


class Selector:
    """Answers for a fixed set of indicators; what it remembers saves time and nothing else."""

    def __init__(self, plans: Iterable[Plan] = ()) -> None:
        """`plans` are in the order of the rule set."""
        self._plans = [plan for plan in plans if plan.cell is not None]
        self._selected: dict[Combination, Selection] = {}

    def select(self, combination: Combination, facts: Facts) -> Sequence[Plan]:
        """Return the indicators that select the signal, in the order of the rule set."""
        possible, ask = self._selected.get(combination) or self._learn(combination, facts)
        if not ask:
            return possible
        return [plan for plan in possible if plan.name not in ask or plan.where.evaluate(facts) is True]  # type: ignore[union-attr]  # has one

    def _learn(self, combination: Combination, facts: Facts) -> Selection:
        """Find out which indicators may select the signals of a combination, and which of them must be asked each time."""
        known_alone = blank(facts)
        possible, ask = [], []
        for plan in self._plans:
            if plan.where is None:
                possible.append(plan)
            elif DISCRETE.issuperset(plan.where.fields) and not plan.where.regional:
                if plan.where.evaluate(facts) is True:
                    possible.append(plan)
            elif not settles(plan.where) or plan.where.evaluate(known_alone) is not False:
                possible.append(plan)
                ask.append(plan.name)
        if len(self._selected) >= COMBINATIONS:
            self._selected.clear()
        known = self._selected[combination] = (tuple(possible), frozenset(ask))
        return known


def combination_of(facts: Facts) -> Combination:
    """Return the values of the discrete fields of a signal."""
    signal = facts.entry.signal
    return (signal.source, signal.kind, signal.matter, signal.severity)
