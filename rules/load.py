"""Texts in, a rule set out, or every problem of every file at once: a broken rule is never skipped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from domain.errors import FileProblems, Problem
from rules.compile import CompiledPack, compile_pack, heads_of
from rules.documents import PackDoc
from rules.inferences import compile_inferences
from rules.instances import instances
from rules.lint import Surroundings, lint_packs
from rules.lists import FOLDER as LISTS
from rules.lists import read_list
from rules.overrides import OVERRIDES, TUNING, check_packs, read_override, read_tuning
from rules.parsed import ParsedPack
from rules.pauses import let_go
from rules.positions import read_tree
from rules.problems import WHOLE_FILE, Problems
from rules.reading import Dialect, read_struct
from rules.ruleset import Rule, RuleSet, Suppression
from rules.vocabulary import LATER

_DIALECT: Final = Dialect(
    later=LATER,
    stand_ins={"when": "true", "say": "-", "status": "draft", "at": "+0s", "hit_at": "+0s", "kind": "other.request"},
)
FOLDERS: Final = (LISTS, OVERRIDES, TUNING)
KEPT: Final = 64  # parsed packs in memory, …
MOST_KEPT: Final = 100_000  # … each of a text of at most so many characters


def version_of(texts: Mapping[str, str]) -> str:
    """Return the SHA-256 (hex) over the files by name; each name and text is preceded by its length in bytes.

    >>> version_of({"a.yaml": "x", "b.yaml": "y"}) == version_of({"b.yaml": "y", "a.yaml": "x"})
    True
    """
    digest = hashlib.sha256()
    for name in sorted(texts):
        for part in (name.encode(), texts[name].encode()):
            digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()


def parse(file: str, text: str, problems: Problems) -> ParsedPack | None:
    """Return the pack in `text`, or None after reporting; its shape is right, its expressions are not looked at."""
    if len(text) > MOST_KEPT:
        return _parse(file, text, problems)
    pack, found = _kept(file, text, problems.language)
    problems.take(found)
    return pack


@lru_cache(maxsize=KEPT)
def _kept(file: str, text: str, language: str) -> tuple[ParsedPack | None, list[Problem]]:
    """Return what `parse` does, from memory where the same text was parsed before: of a changed set most files are as they were."""
    problems = Problems(language)
    return _parse(file, text, problems), problems.all()


def _parse(file: str, text: str, problems: Problems) -> ParsedPack | None:
    written = read_tree(file, text, problems)
    if written is None:
        return None
    tree = instances(file, written, problems)
    doc = read_struct(file, tree, PackDoc, problems, _DIALECT)
    return None if doc is None else ParsedPack(file, tree, doc)


def check(
    texts: Mapping[str, str],
    *,
    feed_delays: Mapping[str, timedelta] | None = None,
    today: date | None = None,
    around: Surroundings = Surroundings(),  # noqa: B008  # frozen and empty
    language: str = "zh-CN",
) -> tuple[RuleSet | None, list[Problem]]:
    """Return the rule set of `texts`, None where there is an error, and all problems by file and line.

    `texts` are by file name: packs (YAML), below `lists/` the list files, below `overrides/` the parameters of regions, below `tuning/`
    the filters. `feed_delays` is how late the data of a source may be, by source, so that windows shorter than it are found. What ended
    before `today` is told.
    """
    problems = Problems(language)
    below = {folder: [file for file in sorted(texts) if file.startswith(folder)] for folder in FOLDERS}
    for file in sorted(texts):
        if "/" in file and not file.startswith(FOLDERS):
            legal = tuple(folder.rstrip("/") for folder in FOLDERS)
            problems.add(file, WHOLE_FILE, "rules.unknown_folder", read=file.partition("/")[0], legal=legal)
    lists = dict(found for file in below[LISTS] if (found := read_list(file, texts[file], problems)) is not None)
    overrides = [one for file in below[OVERRIDES] if (one := read_override(file, texts[file], problems, today)) is not None]
    parsed = [pack for file in sorted(texts) if "/" not in file and (pack := parse(file, texts[file], problems)) is not None]
    whole = len(parsed) == sum("/" not in file for file in texts)  # what a file holds that cannot be read is not known, nor missed
    if whole:
        check_packs(overrides, [pack.doc.pack for pack in parsed], problems)
    heads = heads_of(parsed)
    packs = [compile_pack(pack, problems, heads, lists, overrides) for pack in parsed]
    tuning = [found for file in below[TUNING] for found in read_tuning(file, texts[file], problems, heads if whole else None, lists, today)]
    lint_packs(packs, problems, feed_delays, around)
    inferences, cases = compile_inferences(parsed, problems, heads)
    if problems.errors():
        return None, problems.all()
    ruleset = replace(_ruleset(texts, packs, tuning), inferences=inferences, inference_cases=cases)
    let_go(packs)
    let_go(parsed)  # now nothing else holds their trees
    return ruleset, problems.all()


def _tuned(rules: Iterable[Rule], tuning: Sequence[tuple[tuple[str, ...], Suppression]]) -> list[Rule]:
    """Return the rules, each with the filters that are for it."""
    own: dict[str, list[Suppression]] = {}
    for names, suppression in tuning:
        for name in names:
            own.setdefault(name, []).append(suppression)
    return [replace(rule, suppressions=tuple(own[rule.id])) if rule.id in own else rule for rule in rules]


def _with_feeds(rules: list[Rule]) -> tuple[Rule, ...]:
    """Return the rules, each with the sources of the rules that it refers to beside its own."""
    by_id = {rule.id: rule for rule in rules}
    return tuple(replace(rule, feeds=tuple(sorted(_feeds(rule, by_id)))) if rule.when.rules else rule for rule in rules)


def _feeds(rule: Rule, by_id: Mapping[str, Rule]) -> set[str]:
    """Return the sources of a rule and of those that it refers to; no closure, which would hold itself and with it every rule."""
    return {*rule.feeds, *(source for name in rule.when.rules for source in _feeds(by_id[name], by_id))}


def _ruleset(texts: Mapping[str, str], packs: list[CompiledPack], tuning: Sequence[tuple[tuple[str, ...], Suppression]]) -> RuleSet:
    return RuleSet(
        version=version_of(texts),
        rules=_with_feeds(_tuned((rule for pack in packs for rule in pack.rules), tuning)),
        indicators=MappingProxyType({indicator.name: indicator for pack in packs for indicator in pack.indicators.values()}),
        texts=MappingProxyType(dict(sorted(texts.items()))),
        params={pack.parsed.doc.pack: {name: repr(value) for name, value in pack.params.items()} for pack in packs},
        cases=tuple(case for pack in packs for case in pack.cases),
    )


def without_overrides(ruleset: RuleSet) -> RuleSet:
    """Return the set as it is in regions that change nothing: what the tests of its files are about."""
    texts = {file: text for file, text in ruleset.texts.items() if not file.startswith(OVERRIDES)}
    return ruleset if len(texts) == len(ruleset.texts) else load_rules(texts)


def load_rules(texts: Mapping[str, str], *, language: str = "zh-CN") -> RuleSet:
    """Return the rule set of `texts`: file name → text.

    >>> load_rules({}).rules
    ()

    Raises:
        FileProblems: all errors of all files, by file and line; whatever ran before is to go on running.
    """
    ruleset, problems = check(texts, language=language)
    if ruleset is None:
        raise FileProblems([problem for problem in problems if problem.severity == "error"])
    return ruleset
