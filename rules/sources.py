"""Which sources a filter lets through, read from its tree: for coverage, for lint, and for the range of `distinct: source`."""

from __future__ import annotations

from collections.abc import Mapping

from domain.signals import SOURCES
from rules.literals import Constant
from rules.syntax import AnyNode, Binary, Items, Junction, Name, Param, Text, Unary


def _words(node: AnyNode, params: Mapping[str, Constant]) -> frozenset[str] | None:
    match node:
        case Name():
            return frozenset({node.path})
        case Text():
            return frozenset({node.value})
        case Param():
            constant = params.get(node.name)
            if constant is None:
                return None
            members = constant.value if constant.type == "set" else (constant,)
            return frozenset(str(member.value) for member in members)
        case Items():
            parts = [_words(member, params) for member in node.members]
            known = [part for part in parts if part is not None]
            return frozenset[str]().union(*known) if len(known) == len(parts) else None
    return None


def sources_of(node: AnyNode, params: Mapping[str, Constant]) -> frozenset[str] | None:
    """Return the only sources whose signals can pass, None where the filter does not restrict them."""
    match node:
        case Binary(operator="==" | "in", left=Name(path="source")):
            return _words(node.right, params)
        case Binary(operator="!=", left=Name(path="source")):
            words = _words(node.right, params)
            return None if words is None else frozenset(SOURCES) - words
        case Unary(operator="not", operand=Binary(operator="==" | "in", left=Name(path="source"))):
            words = sources_of(node.operand, params)
            return None if words is None else frozenset(SOURCES) - words
        case Junction():
            parts = [sources_of(term, params) for term in node.terms]
            known = [part for part in parts if part is not None]
            if node.operator == "and":
                return frozenset.intersection(*known) if known else None
            return frozenset[str]().union(*known) if len(known) == len(parts) else None
    return None
