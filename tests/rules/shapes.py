"""The shape of a rule: what it compares, how, and of which fields, with every number, length of time and code taken out.

Two rules of one shape say the same thing twice with other constants: one of them wanted to be a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from rules.syntax import AnyNode, Binary, Call, Items, Junction, Name, Number, Param, Prefix, Text, Truth, Unary, parse
from rules.vocabulary import FIELDS

_LENGTH: Final = re.compile(r"\d+(\.\d+)?")
Doc = Mapping[str, Any]


class Shapes:
    """The shapes of the rules of one pack; `codes` says whether kinds, sources and quoted words are part of a shape."""

    def __init__(self, doc: Doc, *, codes: bool) -> None:
        self._indicators: Mapping[str, Doc] = doc.get("indicators", {})
        self._rules: Mapping[str, Doc] = {rule["id"]: rule for rule in doc["rules"]}
        self._codes = codes

    def _code(self, text: str) -> str:
        return text if self._codes else "code"

    def _text(self, text: str) -> str:
        return self._node(parse(text))

    def _node(self, node: AnyNode) -> str:
        match node:
            case Number() | Param():
                return "#"
            case Text(value=value):
                return self._code(value)
            case Truth(value=value):
                return str(value)
            case Prefix(path=path):
                return self._code(f"{path}.*")
            case Name(path=path):
                return self._name(path)
            case Items(members=members):
                return "[" + ",".join(sorted({self._node(each) for each in members})) + "]"
            case Call(name=name, argument=argument):
                return f"{name}({self._node(argument)})"
            case Unary(operator=operator, operand=operand):
                return f"{operator}({self._node(operand)})"
            case Junction(operator=operator, terms=terms):
                return "(" + f" {operator} ".join(sorted({self._node(each) for each in terms})) + ")"
            case Binary(operator=operator, left=left, right=right):
                if left == Name("matter"):
                    return "matter"  # which sector a record is about is what tells the packs apart, not the rules
                return f"{self._node(left)}{operator}{self._node(right)}"
        raise AssertionError(node)

    def _name(self, path: str) -> str:
        if path in self._indicators:
            return self.indicator(path)
        return path if path in FIELDS or path.startswith("attrs.") else self._code(path)

    def indicator(self, name: str) -> str:
        """Return the shape of an indicator."""
        parts = []
        for key, value in sorted(self._indicators[name].items()):
            if key in {"title", "unit", "needs", "rank", "per", "periods", "below"}:
                continue
            if key == "window":
                parts.append(_LENGTH.sub("#", str(value))[:-1] if "(" not in str(value) else str(value).partition("(")[0])
            elif key == "formula" or key in {"where", "percentage"}:
                parts.append(f"{key}:{self._text(value)}")
            elif isinstance(value, list):
                parts.append(f"{key}:{[self._name(str(each)) for each in value]}")
            elif isinstance(value, str) and value in self._indicators:
                parts.append(f"{key}:{self.indicator(value)}")
            else:
                parts.append(f"{key}:{value}")
        return "{" + " ".join(parts) + "}"

    def rule(self, rule: Doc) -> str:
        """Return the shape of a rule."""
        when = rule["when"]
        extra = "".join(f" {key}" for key in ("for", "min_evidence") if rule.get(key))
        extra += f" clear:{self._text(rule['clear_when'])}" if "clear_when" in rule else ""
        subject = rule.get("subject", "object").partition("(")[0]
        if isinstance(when, str):
            return f"{subject}: {self._text(when)}{extra}"
        if "of" in when:
            terms = sorted(self.rule(self._rules[text]) if text in self._rules else self._text(text) for text in when["of"])
            return f"{subject}: {when['at_least']} of {terms}{extra}"
        return f"{subject}: " + " ".join(f"{key}:{self._text(when[key])}" for key in ("first", "then", "then_not") if key in when) + extra


def shapes(doc: Doc, *, codes: bool) -> dict[str, str]:
    """Return the shape of each rule of a pack, by id."""
    maker = Shapes(doc, codes=codes)
    return {rule["id"]: maker.rule(rule) for rule in doc["rules"]}
