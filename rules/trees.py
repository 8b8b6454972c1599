"""Walks over the trees of expressions, and trees as text again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rules.syntax import COMPARISONS, AnyNode, Binary, Call, Items, Junction, Name, Number, Param, Prefix, Text, Truth, Unary


def walk(node: AnyNode) -> Iterator[AnyNode]:
    """Yield `node` and every part of it, in reading order."""
    yield node
    parts: Sequence[AnyNode] = ()
    match node:
        case Binary():
            parts = (node.left, node.right)
        case Junction():
            parts = node.terms
        case Unary():
            parts = (node.operand,)
        case Call():
            parts = (node.argument,)
        case Items():
            parts = node.members
    for part in parts:
        yield from walk(part)


def _quoted(value: str) -> str:
    return f'"{value}"' if "'" in value else f"'{value}'"


_STRENGTH: Final = {"or": 1, "and": 2, "not": 3, "+": 5, "-": 5, "*": 6, "/": 6} | dict.fromkeys(COMPARISONS, 4)


def _strength(node: AnyNode) -> int:
    if isinstance(node, Unary):
        return 7 if node.operator == "-" else _STRENGTH["not"]
    return _STRENGTH[node.operator] if isinstance(node, Binary | Junction) else 8


def _inside(node: AnyNode, least: int) -> str:
    return show(node) if _strength(node) >= least else f"({show(node)})"


def show(node: AnyNode) -> str:
    """Return the text of a tree, with no more parentheses than needed; parsing it gives the same tree.

    >>> from rules.syntax import parse
    >>> show(parse("complaints_7d >= $burst and not 'x' in object.labels"))
    "complaints_7d >= $burst and not 'x' in object.labels"
    """
    match node:
        case Number():
            return node.digits + node.unit
        case Text():
            return _quoted(node.value)
        case Truth():
            return "true" if node.value else "false"
        case Name():
            return node.path
        case Prefix():
            return f"{node.path}.*"
        case Param():
            return node.name if node.name.startswith("@") else f"${node.name}"
        case Items():
            return f"[{', '.join(show(member) for member in node.members)}]"
        case Call():
            return f"{node.name}({show(node.argument)})"
        case Unary(operator="not"):
            return f"not {_inside(node.operand, 3)}"
        case Unary():
            return f"-{_inside(node.operand, 7)}"
        case Junction():
            return f" {node.operator} ".join(_inside(term, _strength(node) + 1) for term in node.terms)
        case Binary():
            own = _strength(node)
            least = 5 if own == 4 else own  # comparisons do not chain
            return f"{_inside(node.left, least)} {node.operator} {_inside(node.right, least if own == 4 else own + 1)}"
