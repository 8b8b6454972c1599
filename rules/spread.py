"""How a rule set is spread over the partitions of a cluster: which of its rules one object's signals decide, and which an area's.

The partition of an object sees all signals of that object and no others; a partition of groups sees all signals of its areas, whatever
object they are about. A rule that needs both (one about an object that reads what its industry, its parent or its matter came to) is
decided by neither.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rules.ruleset import Rule, RuleSet


@dataclass(frozen=True, slots=True)
class Spread:
    """The same version three times over: what partitions of objects run, what partitions of areas run, and what nobody does, by rule id.

    `digits` are those of the areas that there are rules about, ascending.
    """

    objects: RuleSet
    areas: RuleSet
    digits: tuple[int, ...]
    left_out: tuple[str, ...]


def spread(ruleset: RuleSet) -> Spread:
    """Return who judges what of `ruleset` where there are several partitions."""
    found: dict[str, Rule] = {}
    for rule in ruleset.rules:
        kinds = {ruleset.indicators[name].by for name in ruleset.closure((*rule.when.indicators, *rule.says)) if name in ruleset.indicators}
        if kinds <= {rule.by}:
            found[rule.id] = rule
    while over := [rule for rule in found.values() if not _together(rule, found)]:
        for rule in over:
            del found[rule.id]
    areas = tuple(rule for rule in found.values() if rule.by != "object")
    return Spread(
        objects=replace(
            ruleset,
            rules=tuple(rule for rule in found.values() if rule.by == "object"),
            indicators={name: each for name, each in ruleset.indicators.items() if each.by == "object"},
        ),
        areas=replace(
            ruleset,
            rules=areas,
            indicators={name: each for name, each in ruleset.indicators.items() if isinstance(each.by, int)},
            inferences=(),
        ),
        digits=tuple(sorted({rule.by for rule in areas if isinstance(rule.by, int)})),
        left_out=tuple(sorted(rule.id for rule in ruleset.rules if rule.id not in found)),
    )


def _together(rule: Rule, found: dict[str, Rule]) -> bool:
    """Tell whether the rules that a rule reads are judged, and where it is: those of one subject are."""
    return all(name in found and found[name].by == rule.by for name in rule.when.rules)
