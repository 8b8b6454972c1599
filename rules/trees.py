"""Walks over the trees of expressions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rules.syntax import AnyNode, Binary, Call, Items, Junction, Unary


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
