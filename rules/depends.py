"""Which rules depend on a thing: a legal basis, a row of the catalogue, a feed, an indicator, a plan, a list or another rule (影响面).

When a regulation is amended or a feed is given up, this is the list of rules to look at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from domain.base import Noun
from domain.catalogue import Catalogue
from rules.ruleset import Rule, RuleSet

_NOISE = re.compile(r"[\s《》〈〉（）()“”\"'·]+")  # how a basis is written must not decide whether it is found


class Dependent(Noun, frozen=True, kw_only=True):
    """One rule that depends on what was asked for; `how` says by what, in the words of the rule."""

    rule: str
    title: str
    status: str
    how: str
    file: str
    line: int


def dependents(
    ruleset: RuleSet, on: str, *, catalogue: Catalogue | None = None, sources: Mapping[str, str] | None = None
) -> list[Dependent]:
    """Return the rules that depend on `on`, in the order of the rule set, a line for each way in which they do.

    `on` is a part of a basis (spaces and book-title marks do not matter), a slug or code of the `catalogue`, a sector, a source, a feed
    of `sources` (feed → source), an indicator with or without its pack, a plan, `@list`, or a rule.
    """
    wanted = _Wanted(ruleset, on, catalogue, sources or {})
    return [
        Dependent(rule=rule.id, title=rule.title, status=rule.status, how=how, file=rule.file, line=rule.line)
        for rule in ruleset.rules
        for how in dict.fromkeys(wanted.ways(rule))
    ]


def _bare(text: str) -> str:
    return _NOISE.sub("", text).lower()


class _Wanted:
    def __init__(self, ruleset: RuleSet, on: str, catalogue: Catalogue | None, sources: Mapping[str, str]) -> None:
        self._ruleset = ruleset
        self._on = on
        self._bare = _bare(on)
        self._source = sources.get(on, on)
        items = [item for item in (catalogue.items if catalogue is not None else ()) if on in {item.slug, item.code, item.title}]
        self._matters = {on, *(item.slug for item in items), *(item.sector for item in items)}
        self._rules = {rule.id: rule for rule in ruleset.rules}

    def ways(self, rule: Rule) -> Iterator[str]:
        """Yield each way in which a rule depends on what is wanted."""
        yield from (f"basis: {basis}" for basis in rule.basis if self._bare and self._bare in _bare(basis))
        if rule.sector in self._matters:
            yield f"matter: {rule.sector}"
        if self._source in rule.feeds:
            yield f"source: {self._source}"
        if rule.plan == self._on:
            yield f"plan: {rule.plan}"
        yield from (f"indicator: {name}" for name in self._indicators(rule) if self._on in {name, name.partition(".")[2]})
        yield from (f"rule: {name}" for name in self._below(rule) if name == self._on)
        yield from (
            f"list: {self._on}" for text in self._texts(rule) if self._on.startswith("@") and self._on in re.findall(r"@[\w-]+", text)
        )

    def _below(self, rule: Rule) -> Iterator[str]:
        for name in rule.when.rules:
            yield name
            yield from self._below(self._rules[name])

    def _indicators(self, rule: Rule) -> Iterator[str]:
        """Yield the indicators of a rule and of those that it refers to, each before its inputs."""
        for each in (rule, *(self._rules[name] for name in self._below(rule))):
            read: Iterable[str] = (*each.when.indicators, *(each.clear.indicators if each.clear is not None else ()), *each.says)
            for name in read:
                here: str | None = name
                while here:
                    yield here
                    known = self._ruleset.indicators.get(here)
                    here = known.input if known is not None else None

    def _texts(self, rule: Rule) -> Iterator[str]:
        """Yield the expressions of a rule, of its sequence and of its indicators."""
        yield rule.when.text
        if rule.clear is not None:
            yield rule.clear.text
        for name in self._indicators(rule):
            known = self._ruleset.indicators.get(name)
            if known is not None:
                yield from (each.text for each in (known.where, known.of) if each is not None)
