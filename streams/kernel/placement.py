"""Where each rule runs (在哪里运行): in the compiled kernel, or on the readable Python engine, and why there.

Nothing of this depends on numba, so `rules check` can say it on a machine without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final

from rules.ruleset import Expression, Indicator, Rule, RuleSet
from rules.syntax import Name
from rules.trees import show
from streams.kernel.conditions import Alternative, Compared, NotTabular, Tested, alternatives, limits_of_field, limits_of_value, not_tabular
from streams.stages.windows import BUCKETS, MICROSECOND, NEVER, to_us

AGGREGATES: Final = ("count", "sum", "mean", "min", "max", "distinct", "last")
NUMBERS: Final = ("value", "severity")  # what can be added up and compared
CODES: Final = ("source", "kind", "matter", "region", "unit")  # texts that can be told apart
WINDOWS: Final = ("sliding", "day", "week", "month")
PLACES: Final = 1 << 25  # of the largest list of the tables, one for each test and level: 128 MiB
# What the kernel knows of an indicator, an expression and a rule; anything else must be as if it were not there, so that a new word of
# the language runs on the readable engine until the kernel has learnt it.
OF_INDICATOR: Final = frozenset({"name", "title", "aggregate", "window", "where", "of", "as_of", "by", "unit"})
OF_EXPRESSION: Final = frozenset({"text", "evaluate", "indicators", "fields", "explainer", "term", "regional"})
OF_RULE: Final = frozenset({
    "id", "pack", "title", "status", "sector", "when", "points", "say", "file", "line", "basis", "plan", "owner", "at_least", "cooldown",
    "half_life", "family", "cap", "by", "effective_from", "effective_to", "feeds", "says", "record", "renamed_from",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Placed:
    """One rule's place: `reason` is "" in the kernel, else the part that keeps it on the Python engine."""

    rule: str
    reason: str = ""

    @property
    def in_kernel(self) -> bool:
        """Whether the kernel runs it."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Placement:
    """What the kernel can do of a rule set: its indicators and rules, in the order of the set, and where every rule runs."""

    placed: tuple[Placed, ...]
    indicators: tuple[Indicator, ...]
    rules: tuple[Rule, ...]
    conditions: tuple[tuple[Alternative, ...], ...]  # of each of `rules`
    limits: tuple[float, ...]  # what filters and conditions compare the signal's value with, rising

    @property
    def whole(self) -> bool:
        """Whether the kernel can run all of it."""
        return all(each.in_kernel for each in self.placed)

    @property
    def in_force(self) -> int:
        """The instant from which on all of `rules` are in force, in microseconds; the kernel may run from then on."""
        return max((to_us(rule.effective_from) for rule in self.rules if rule.effective_from is not None), default=-NEVER)

    @property
    def reasons(self) -> list[str]:
        """What keeps rules on the Python engine, one line a rule."""
        return [f"{each.rule}: {each.reason}" for each in self.placed if not each.in_kernel]


def runs(rule: Rule) -> bool:
    """Tell whether a rule runs at all."""
    return rule.status in {"active", "shadow"}


def place(ruleset: RuleSet) -> Placement:
    """Find out where the rules of `ruleset` run; drafts and deprecated rules run nowhere and are left out."""
    known: dict[str, str] = {}
    limits: set[float] = set()
    for name, indicator in ruleset.indicators.items():
        try:
            limits.update(_limits(indicator))
            known[name] = ""
        except NotTabular as why:
            known[name] = f"{name}: {why}"
    placed, rules, conditions = [], [], []
    room = _Room(2 * sum(not why for why in known.values()))
    for rule in filter(runs, ruleset.rules):
        try:
            found, compared = _conditions(rule, known)
            room.take(found)
        except NotTabular as why:
            placed.append(Placed(rule.id, str(why)))
            continue
        placed.append(Placed(rule.id))
        rules.append(rule)
        conditions.append(found)
        limits.update(compared)
    indicators = tuple(ruleset.indicators[name] for name, why in known.items() if not why)
    return Placement(tuple(placed), indicators, tuple(rules), tuple(conditions), tuple(sorted(limits)))


class _Room:
    """How much room the tables have left: they hold one place for each test of the signal and each level of an indicator."""

    def __init__(self, levels: int) -> None:
        """`levels` are those that indicators have without any threshold."""
        self._tests: set[Tested] = set()
        self._levels = levels

    def take(self, found: tuple[Alternative, ...]) -> None:
        """Take the room of a rule's condition.

        Raises:
            NotTabular: there is too little left; the rules after it may still find theirs.
        """
        own = {one for alternative in found for one in alternative if isinstance(one, Tested)}
        # Each comparison names two thresholds at most.
        levels = self._levels + 2 * sum(isinstance(one, Compared) for alternative in found for one in alternative)
        number = len(self._tests) + len(own - self._tests)
        if number * levels > PLACES:
            raise not_tabular("kernel.not.room", tests=number, levels=levels)
        self._tests |= own
        self._levels = levels


def _limits(indicator: Indicator) -> tuple[float, ...]:
    """Return the numbers that an indicator's filter compares the value with.

    Raises:
        NotTabular: the kernel cannot run it.
    """
    if indicator.aggregate not in AGGREGATES:
        raise not_tabular("kernel.not.aggregate", name=indicator.aggregate)
    _only_known(indicator, OF_INDICATOR)
    if indicator.by != "object":
        raise not_tabular("kernel.not.of_objects")
    window = indicator.window
    if window is not None:
        _only_known(window, frozenset({"kind", "length", "exact"}))
        if window.kind not in WINDOWS:
            raise not_tabular("kernel.not.window", name=window.kind)
        if window.kind == "sliding" and not window.exact and (window.length // MICROSECOND) % BUCKETS:
            raise not_tabular("kernel.not.buckets", number=BUCKETS)
    elif indicator.aggregate != "last":
        raise not_tabular("kernel.not.boundless")
    if indicator.of is not None:
        column_of(indicator)
    if indicator.where is None:
        return ()
    _only_known(indicator.where, OF_EXPRESSION)
    return limits_of_field(indicator.where)


def column_of(indicator: Indicator) -> str:
    """Return the field that an indicator aggregates, "" for a count.

    Raises:
        NotTabular: it is no plain field, or none that this aggregate can take.
    """
    if indicator.of is None:
        return ""
    node = indicator.of.term.node if indicator.of.term is not None else None
    if not isinstance(node, Name):
        raise not_tabular("kernel.not.aggregate_of", name=indicator.aggregate, part=show(node) if node is not None else indicator.of.text)
    if node.path in NUMBERS or (node.path in CODES and indicator.aggregate == "distinct"):
        return node.path
    raise not_tabular("kernel.not.aggregate_of", name=indicator.aggregate, part=node.path)


def _conditions(rule: Rule, known: Mapping[str, str]) -> tuple[tuple[Alternative, ...], list[float]]:
    _only_known(rule, OF_RULE)
    if rule.by != "object":
        raise not_tabular("kernel.not.of_objects")
    if rule.effective_to is not None:
        raise not_tabular("kernel.not.for_ever")
    if rule.when.rules:
        raise not_tabular("kernel.not.rules")
    for name in rule.when.indicators:
        if known[name]:
            raise NotTabular(known[name])
    _only_known(rule.when, OF_EXPRESSION)
    limits_of_field(rule.when)
    found = tuple(alternatives(rule.when, rule.pack))
    return found, list(_compared(rule.when))


def _compared(expression: Expression) -> Iterator[float]:
    if "value" in expression.fields:
        yield from limits_of_value(expression.term)


def tests(conditions: tuple[tuple[Alternative, ...], ...]) -> list[Tested]:
    """Return the different tests of the signal alone, in the order of their first use."""
    return list(dict.fromkeys(one for each in conditions for alternative in each for one in alternative if isinstance(one, Tested)))


def _only_known(thing: Any, known: frozenset[str]) -> None:
    """Refuse a table entry with a word that the kernel does not know.

    Raises:
        NotTabular: a field outside `known` is not at its default.
    """
    for each in fields(thing):
        if each.name in known:
            continue
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        if getattr(thing, each.name) != default:
            raise not_tabular("kernel.not.word", name=each.name)
