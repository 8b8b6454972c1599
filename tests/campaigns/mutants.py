"""The mutants of a rule: the same pack, cut down to that rule, with one number, window or level in it changed.

A small whole number goes one up and one down, a probability close to 1 has its tail ten times as large and as small, every other number
changes by a tenth; a window or waiting time is doubled and halved, a calendar window becomes the next longer and the next shorter one.
What only a second hit shows (cooldown, half-life, cap of a family) and what is only said are left alone: tests in the file see first hits.
"""

from __future__ import annotations

import copy
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from rules.vocabulary import CALENDAR_WINDOWS, LEVELS, UNITS

PACKS: Final = Path(__file__).parents[2] / "rules" / "packs"
_NUMBER: Final = re.compile(rf"(?<![\w.$-])(\d+(?:\.\d+)?)({'|'.join(sorted(map(re.escape, UNITS), key=len, reverse=True))})?(?![\w.])")
_WORD: Final = re.compile(r"[A-Za-z_\u3400-\u9fff][\w\u3400-\u9fff]*")
_QUOTED: Final = re.compile(r"'[^']*'")
_LENGTH: Final = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|w|秒|分钟|小时|天|周)")
_MADE_OF: Final = ("ratio", "formula", "anomaly", "history", "spike", "flatline", "peers", "cardinality")
_SMALL: Final = 24  # up to here a number is a count of things, changed by one

Path_ = tuple[str | int, ...]
Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change to one pack: `at` leads to what stood as `old` and now stands as `new`; `texts` are the files to load."""

    rule: str
    at: str
    old: str
    new: str
    texts: Mapping[str, str]

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.rule}: {self.at}: {self.old} -> {self.new}"


def read(text: str) -> Doc:
    """Return a pack as plain data."""
    return dict(YAML(typ="safe", pure=True).load(text))


def written(doc: Doc) -> str:
    """Return plain data as the text of a pack."""
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_unicode, yaml.width, yaml.default_flow_style = True, 100_000, False
    out = io.StringIO()
    yaml.dump(doc, out)
    return out.getvalue()


def packs(folder: Path = PACKS) -> dict[str, Doc]:
    """Return all packs of a folder by file name."""
    return {path.name: read(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yaml"))}


def _conditions(rule: Doc) -> dict[Path_, str]:
    """Return the expressions of a rule's condition, by their places below the rule."""
    found: dict[Path_, str] = {("clear_when",): rule["clear_when"]} if "clear_when" in rule else {}
    when = rule["when"]
    if isinstance(when, str):
        return {("when",): when} | found
    found |= {("when", key): when[key] for key in ("first", "then", "then_not") if key in when}
    return found | {("when", "of", place): text for place, text in enumerate(when.get("of", ()))}


def _referred(rule: Doc) -> list[str]:
    return list(rule["when"].get("of", ())) if isinstance(rule["when"], dict) else []


def _closure(words: set[str], indicators: Mapping[str, Doc]) -> list[str]:
    """Return the indicators that are named, and those that they are made of, in the order of the file."""
    found: set[str] = set()
    waiting = words & set(indicators)
    while waiting:
        name = waiting.pop()
        found.add(name)
        inner = " ".join(str(indicators[name][key]) for key in _MADE_OF if key in indicators[name])
        waiting |= (set(_WORD.findall(inner)) & set(indicators)) - found
    return [name for name in indicators if name in found]


def alone(rule_id: str, docs: Mapping[str, Doc]) -> tuple[str, dict[str, Doc]]:
    """Return the file of a rule, and the packs cut down to it, the rules that it refers to, and their indicators."""
    homes = {rule["id"]: (file, rule) for file, doc in docs.items() for rule in doc["rules"]}
    wanted, waiting = {rule_id}, [rule_id]
    while waiting:
        new = [name for name in _referred(homes[waiting.pop()][1]) if name in homes and name not in wanted]
        wanted |= set(new)
        waiting += new
    cut: dict[str, Doc] = {}
    for file in dict.fromkeys(homes[name][0] for name in sorted(wanted)):
        doc = docs[file]
        rules = [rule for rule in doc["rules"] if rule["id"] in wanted]
        words = {word for rule in rules for text in (*_conditions(rule).values(), rule["say"]) for word in _WORD.findall(text)}
        indicators = doc.get("indicators", {})
        kept = {name: indicators[name] for name in _closure(words, indicators)}
        cut[file] = {key: value for key, value in doc.items() if key not in {"rules", "indicators", "inferences"}} | {
            "indicators": kept, "rules": [rule if rule["id"] == rule_id else rule | {"tests": []} for rule in rules],
        }  # fmt: skip
    return homes[rule_id][0], copy.deepcopy(cut)


def _plain(number: float) -> str:
    return f"{number:.10g}"


def _changed(digits: str) -> tuple[str, ...]:
    number = float(digits)
    if number.is_integer() and number <= _SMALL:
        return (_plain(number + 1), _plain(number - 1)) if number else (_plain(number + 1),)
    if 0.9 <= number < 1:
        return _plain(1 - (1 - number) / 10), _plain(1 - (1 - number) * 10)
    return _plain(number * 1.1), _plain(number * 0.9)


def _in_expression(text: str) -> Iterator[str]:
    """Yield the expression with each of its numbers changed; a duration in it is doubled and halved."""
    bare = _QUOTED.sub(lambda quoted: "'" + "_" * (len(quoted[0]) - 2) + "'", text)
    for match in _NUMBER.finditer(bare):
        if "_" in (bare[match.start() - 1 : match.start()]):
            continue
        time = match[2] is not None and UNITS[match[2]].dimension == "duration"
        for new in (_plain(float(match[1]) * 2), _plain(float(match[1]) / 2)) if time else _changed(match[1]):
            yield text[: match.start(1)] + new + text[match.end(1) :]


def _windows(text: str) -> Iterator[str]:
    if text in CALENDAR_WINDOWS:
        order = list(CALENDAR_WINDOWS)
        place = order.index(text)
        yield from (order[near] for near in (place - 1, place + 1) if 0 <= near < len(order))
        return
    for factor in (2, 0.5):
        yield _LENGTH.sub(lambda length, by=factor: _plain(float(length[1]) * by) + length[2], text)  # type: ignore[misc]  # a default, not an argument


def _of_rule(rule: Doc) -> Iterator[tuple[Path_, Any]]:
    ids = set(_referred(rule))
    for path, text in _conditions(rule).items():
        if text not in ids or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", text):
            yield from ((path, new) for new in _in_expression(text))
    when = rule["when"] if isinstance(rule["when"], dict) else {}
    if "within" in when:
        yield from ((("when", "within"), new) for new in _windows(when["within"]))
    if "at_least" in when:
        many = int(when["at_least"])
        yield from ((("when", "at_least"), new) for new in (many + 1, many - 1) if 1 <= new <= len(when["of"]))
    if "for" in rule:
        yield from ((("for",), new) for new in _windows(rule["for"]))
    if rule.get("min_evidence"):
        yield from ((("min_evidence",), int(rule["min_evidence"]) + step) for step in (1, -1))
    points = rule["points"]
    yield from ((("points",), new) for new in ((points + 5, points - 5) if points else (40,)) if new <= 100)
    if rule.get("at_least"):
        order = list(LEVELS)
        place = order.index(rule["at_least"])
        yield from ((("at_least",), order[near]) for near in (place - 1, place + 1) if 0 <= near < len(order))


def _of_indicator(doc: Doc) -> Iterator[tuple[Path_, Any]]:
    for key in ("where", "formula", "percentage"):
        if isinstance(doc.get(key), str):
            yield from (((key,), new) for new in _in_expression(doc[key]))
    for key in ("window", "per"):
        if key in doc:
            yield from (((key,), new) for new in _windows(str(doc[key])))
    for key in ("needs", "periods"):
        if doc.get(key):
            yield from (((key,), int(doc[key]) + step) for step in (1, -1) if int(doc[key]) + step >= 1)
    if "rank" in doc:
        yield from ((("rank",), new) for new in (min(100, float(doc["rank"]) * 1.1), float(doc["rank"]) * 0.9) if new != doc["rank"])
    if "below" in doc:
        yield from ((("below",), float(new)) for new in _changed(str(doc["below"])))


def _of_param(value: Any) -> Iterator[Any]:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            yield from _in_expression(value)
        return
    yield from (float(new) for new in _changed(str(value)))


def _at(doc: Any, path: Path_) -> Any:
    for key in path:
        doc = doc[key]
    return doc


def _put(doc: Any, path: Path_, new: Any) -> Any:
    changed = copy.deepcopy(doc)
    _at(changed, path[:-1])[path[-1]] = new
    return changed


def _put_in_rule(doc: Doc, path: Path_, new: Any) -> Doc:
    """Return the pack with the change; a family's cap, above which a first hit shows nothing, goes up with the points."""
    changed: Doc = _put(doc, path, new)
    rule = _at(changed, path[:2])
    if path[2:] == ("points",) and "cap" in rule:
        rule["cap"] = max(rule["cap"], new)
    return changed


def mutants(rule_id: str, docs: Mapping[str, Doc]) -> Iterator[Mutant]:
    """Yield the mutants of a rule, each with all the files that it needs."""
    file, cut = alone(rule_id, docs)
    doc = cut[file]
    place = next(index for index, rule in enumerate(doc["rules"]) if rule["id"] == rule_id)
    rule = doc["rules"][place]
    changes = [(("rules", place, *path), new) for path, new in _of_rule(rule)]
    conditions = list(_conditions(rule).values())
    for name in _closure({word for text in conditions for word in _WORD.findall(text)}, doc["indicators"]):
        indicator = doc["indicators"][name]
        changes += [(("indicators", name, *path), new) for path, new in _of_indicator(indicator)]
        conditions += [str(indicator[key]) for key in ("where", "formula", "percentage") if key in indicator]
    used = {name for text in conditions for name in re.findall(r"\$([\w\u3400-\u9fff]+)", text)}
    for name in sorted(used & set(doc.get("params", {}))):
        changes += [(("params", name), new) for new in _of_param(doc["params"][name])]
    others = {name: written(each) for name, each in cut.items() if name != file}
    for path, new in changes:
        at = ".".join(str(key) for key in path[2:] if path[0] == "rules") or ".".join(map(str, path))
        changed = (_put_in_rule if path[0] == "rules" else _put)(doc, path, new)
        yield Mutant(rule_id, at, str(_at(doc, path)), str(new), others | {file: written(changed)})
