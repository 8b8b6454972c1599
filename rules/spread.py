"""How a rule set is spread over the partitions of a cluster: which rules one object's signals decide, which an area's, and which both.

The partition of an object sees all signals of that object and no others. A partition of groups sees all signals of its areas; of its
objects it sees all signals too, and every signal that counts in a window which rules about objects read beside their own: of an
industry, a parent, a matter, an area. So a rule about an object that reads such a window is judged there, and with it what shares an
answer with it: the rules whose points make one score, those that read each other's truth, and what is inferred from them.

What an object's peers come to is worked out from the windows of all objects of the registry. Partitions of groups keep these windows for
each object, whoever judges it, as they keep those of whole groups: by a copy of the indicator that is kept for "each".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from domain.kinds import SECTORS
from rules.ruleset import By, Expression, Indicator, InferenceRule, Rule, RuleSet

PEERS: Final = "peers"
RUNNING: Final = frozenset({"active", "shadow"})


@dataclass(frozen=True, slots=True)
class Spread:
    """The same version three times over: what partitions of objects run, and what partitions of groups run for their areas and for their
    objects (`groups`).

    `digits` are those of the areas that there are rules about, ascending; `shared` the indicators whose windows all partitions of groups
    keep.
    """  # noqa: D205  # one sentence reads best here

    objects: RuleSet
    areas: RuleSet
    groups: RuleSet
    digits: tuple[int, ...]
    shared: tuple[Indicator, ...]


def spread(ruleset: RuleSet) -> Spread:
    """Return who judges what of `ruleset` where there are several partitions."""
    areas = tuple(rule for rule in ruleset.rules if rule.by != "object")  # they read what is kept for their own area alone
    about = [rule for rule in ruleset.rules if rule.by == "object"]
    mixed = {rule.id for rule in about if rule.status in RUNNING and any(not alone(each.by) for each in _read(rule, ruleset))}
    there, inferred = _with(mixed, about, ruleset.inferences)
    groups = tuple(rule for rule in about if rule.id in there)
    needed = {each.name for rule in groups for each in _read(rule, ruleset)}
    there_too = _of_each({name: each for name, each in ruleset.indicators.items() if name in needed}, ruleset)
    digits = tuple(sorted({rule.by for rule in areas if isinstance(rule.by, int)}))
    of_areas = _of_each({name: each for name, each in ruleset.indicators.items() if each.by in digits}, ruleset)  # no others are told of
    return Spread(
        objects=replace(
            ruleset,
            rules=tuple(rule for rule in about if rule.id not in there),
            indicators={name: each for name, each in ruleset.indicators.items() if alone(each.by)},
            inferences=tuple(each for each in ruleset.inferences if each.id not in inferred),
        ),
        areas=replace(
            ruleset,
            rules=areas,
            indicators=of_areas,
            inferences=(),
        ),
        groups=replace(
            ruleset,
            rules=groups,
            indicators=there_too,
            inferences=tuple(each for each in ruleset.inferences if each.id in inferred),
        ),
        digits=digits,
        shared=tuple(each for name, each in (of_areas | there_too).items() if each.by == "each" or (name in needed and not alone(each.by))),
    )


def _of_each(indicators: dict[str, Indicator], ruleset: RuleSet) -> dict[str, Indicator]:
    """Return the indicators with a copy, kept for each object, of what those that compare peers are about; these read the copy."""
    found: dict[str, Indicator] = {}
    for name, each in indicators.items():
        if each.aggregate == PEERS:
            copy = replace(ruleset.indicators[each.input], name=f"{each.input}@each", by="each")
            found |= {copy.name: copy, name: replace(each, input=copy.name)}
        else:
            found[name] = each
    return found


def alone(by: By) -> bool:
    """Tell whether the signals of one object decide what an indicator that is kept for `by` comes to.

    >>> [alone("object"), alone(("object", "matter")), alone(("industry", 6)), alone(6), alone("each")]
    [True, True, False, False, False]
    """
    return by == "object" or (isinstance(by, tuple) and "object" in by)


def changed_places(before: Spread, after: Spread) -> tuple[str, ...]:
    """Return the sectors whose rules about objects other partitions judge `after` than `before`: their state would stay behind."""
    return tuple(sorted((_scored(before.objects) & _scored(after.groups)) | (_scored(before.groups) & _scored(after.objects))))


def _scored(ruleset: RuleSet) -> set[str]:
    return {rule.sector for rule in ruleset.rules if rule.points and rule.status in RUNNING}


def _read(rule: Rule, ruleset: RuleSet) -> Iterator[Indicator]:
    """Yield the indicators that a rule reads anywhere, with all that they are made of of its own; what peers come to is made of theirs."""
    sequence = (rule.sequence.first, rule.sequence.then) if rule.sequence is not None else ()
    every: tuple[Expression | None, ...] = (rule.when, rule.clear, *sequence, *(each.when for each in rule.suppressions))
    waiting = [*rule.says, *(name for each in every if each is not None for name in each.indicators)]
    known: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in ruleset.indicators and name not in known:
            known.add(name)
            yield ruleset.indicators[name]
            waiting += ruleset.indicators[name].made_of if ruleset.indicators[name].aggregate != PEERS else ()


def _with(mixed: Iterable[str], rules: Iterable[Rule], inferences: Iterable[InferenceRule]) -> tuple[set[str], set[str]]:
    """Return the rules and the inferences that are judged where the rules `mixed` are: all that shares an answer with one of them."""
    known = {rule.id: rule for rule in rules}
    links: list[set[str]] = [{f"rule:{rule.id}", *(f"rule:{name}" for name in rule.when.rules)} for rule in known.values()]
    # What has points makes one score with all of its sector; the catalogue may count other names (of a matter) among any sector.
    links += [{f"rule:{rule.id}", f"sector:{_sector(rule.sector)}"} for rule in known.values() if rule.points]
    if any(_sector(rule.sector) == "" and rule.points for rule in known.values()):
        links += [{"sector:", f"sector:{_sector(rule.sector)}"} for rule in known.values() if rule.points]
    links += [{f"inference:{each.id}", *(found for name in each.names if (found := _fact(name)))} for each in inferences]
    reached = {f"rule:{name}" for name in mixed}
    while more := [link for link in links if not link.isdisjoint(reached) and not link <= reached]:
        for link in more:
            reached |= link
    there = {name for name in known if f"rule:{name}" in reached}
    return there, {each.id for each in inferences if f"inference:{each.id}" in reached}


def _sector(name: str) -> str:
    """Return a known sector, "" for what only the catalogue knows."""
    return name if name in SECTORS else ""


def _fact(name: str) -> str:
    """Return what a fact that an inference names depends on; "" for what the registry says."""
    kind, _, rest = name.partition(":")
    if kind == "level":
        return f"sector:{_sector(rest.partition('>=')[0])}"
    return name if kind in {"rule", "inference"} else ""
