"""Message templates (`say`): `{complaints_7d}`, `{object.name}`, `{$burst}`, `{area}`; `{{` and `}}` are braces."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from domain.instants import SHANGHAI
from rules.expressions import Scope, compile_expression
from rules.facts import Facts
from rules.vocabulary import Type

_PART: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_WIDE: Final = re.compile(r"｛[^｛｝{}]{1,60}[｝}]|\{[^｛｝{}]{1,60}｝")  # typed in Chinese: shown as they are
_PLACE: Final = re.compile(r"\$?[A-Za-z_\u3400-\u9fff][\w.\u3400-\u9fff]*")


def _short(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") if "." in f"{value:.{digits}f}" else f"{value:.{digits}f}"


def _money(yuan: float) -> str:
    if abs(yuan) >= 1e8:
        return f"{_short(yuan / 1e8)}亿元"
    return f"{_short(yuan / 1e4)}万元" if abs(yuan) >= 1e4 else f"{_short(yuan)}元"


def _length(seconds: float) -> str:
    for size, name in ((86400, "天"), (3600, "小时"), (60, "分钟")):
        if abs(seconds) >= size:
            return f"{_short(seconds / size, 1)}{name}"
    return f"{_short(seconds, 0)}秒"


def render(value: Any, of: Type) -> str:
    """Return a value as a reader expects it; money and durations carry their unit.

    >>> render(123456.0, "money"), render(5.0, "count"), render(None, "count"), render(5400.0, "duration")
    ('12.35万元', '5', '未知', '1.5小时')
    """
    if value is None:
        return "未知"
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, datetime):
        return f"{value.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    if isinstance(value, list | tuple | frozenset):
        return "、".join(str(each) for each in value)
    if isinstance(value, int | float):
        if of == "money":
            return _money(value)
        if of == "duration":
            return _length(value)
        return _short(value, 3 if of == "ratio" else 2)
    return str(value)


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template and the qualified names of the indicators that it shows."""

    fill: Callable[[Facts], str]
    indicators: tuple[str, ...]


def _area(digits: int) -> Callable[[Facts], str]:
    def fill(facts: Facts) -> str:
        region = (facts.object.region if facts.object else "") or facts.entry.signal.region
        return region[:digits] or "未知"

    return fill


def _value(run: Callable[[Facts], Any], of: Type) -> Callable[[Facts], str]:
    return lambda facts: render(run(facts), of)


def _share(run: Callable[[Facts], Any]) -> Callable[[Facts], str]:
    """Return a filler for a part of a whole: 66.7%."""

    def fill(facts: Facts) -> str:
        value = run(facts)
        return f"{_short(value * 100, 1)}%" if isinstance(value, int | float) else render(value, "ratio")

    return fill


def _fixed(text: str) -> Callable[[Facts], str]:
    return lambda _facts: text


def compile_template(text: str, scope: Scope, digits: int = 0) -> Template | None:
    """Return the compiled template, or None after reporting; `digits` of a region code are what `{area}` shows, 0 for none."""
    parts: list[Callable[[Facts], str]] = []
    indicators: dict[str, None] = {}
    end, wrong = 0, False
    for wide in _WIDE.finditer(text):
        scope.report(wide.start(), "rules.wide_braces", {"read": wide[0], "instead": f"{{{wide[0][1:-1]}}}"})
        wrong = True
    if wrong:
        return None
    for match in _PART.finditer(text):
        parts.append(_fixed(text[end : match.start()]))
        end = match.end()
        name = match[1]
        if match[0] in {"{{", "}}"}:
            parts.append(_fixed(match[0][0]))
        elif name == "area" and digits:
            parts.append(_area(digits))
        elif name is None or not _PLACE.fullmatch(name):
            scope.report(match.start(), "rules.bad_placeholder", {"read": match[0]})
            wrong = True
        else:
            compiled = compile_expression(name, _shifted(scope, match.start() + 1), condition=False)
            if compiled is None:
                wrong = True
                continue
            known = scope.indicators.get(name)
            share = known.share if known is not None else name.startswith("$") and compiled[1] == "ratio"  # a parameter written with %
            parts.append(_share(compiled[0].evaluate) if share else _value(compiled[0].evaluate, compiled[1]))
            indicators |= dict.fromkeys(compiled[0].indicators)
    parts.append(_fixed(text[end:]))
    return None if wrong else Template(lambda facts: "".join(part(facts) for part in parts), tuple(indicators))


def _shifted(scope: Scope, by: int) -> Scope:
    return Scope(
        lambda offset, key, values: scope.report(offset + by, key, values), scope.params, scope.indicators, scope.in_filter, scope.of_area
    )
