"""The grammar of expressions: text to tree and back, nothing about meaning.

    or      := and ("or" and)*
    and     := not ("and" not)*
    not     := "not" not | compare
    compare := sum [("==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "contains" | "matches") sum]
    sum     := product (("+" | "-") product)*
    product := sign (("*" | "/") sign)*
    sign    := "-" sign | atom
    atom    := number [unit] | 'text' | true | false | $param | @list | name | prefix.* | function "(" or ")" | "(" or ")" | "[" atom, … "]"

A Chinese name of a field (`vocabulary.ALIASES`) stands for the field. A name may hold letters, Chinese characters, digits, "_", "."
and inner "-": subtraction is written with spaces.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from rules.vocabulary import ALIASES, KEYWORDS, LATER, UNITS

MAX_LENGTH: Final = 2000  # characters of one expression
MAX_DEPTH: Final = 40  # of nesting: the parser and the evaluator recurse


class ExpressionError(ValueError):
    """An expression cannot be parsed; `key` of the message catalogue, `offset` in characters from its start."""

    def __init__(self, offset: int, key: str, **values: object) -> None:
        """Keep what the message needs."""
        super().__init__(key)
        self.offset = offset
        self.key = key
        self.values = values


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A part of an expression; `at` is where it starts, in characters, and no part of its identity."""

    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number as written, with its unit or ""."""

    digits: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A quoted text."""

    value: str


@dataclass(frozen=True, slots=True)
class Truth(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A bare word: an indicator, a field, or a code such as gas.leak; the checker decides."""

    path: str


@dataclass(frozen=True, slots=True)
class Prefix(Node):
    """`gas.*`: every code that starts with "gas."."""

    path: str  # without ".*"


@dataclass(frozen=True, slots=True)
class Param(Node):
    """`$burst`, or a list `@watched`, whose name begins with "@"."""

    name: str


@dataclass(frozen=True, slots=True)
class Items(Node):
    """A list in brackets."""

    members: tuple[AnyNode, ...]


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function of one argument."""

    name: str
    argument: AnyNode


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`not x` or `-x`."""

    operator: Literal["not", "-"]
    operand: AnyNode


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """A comparison or a calculation."""

    operator: str
    left: AnyNode
    right: AnyNode


@dataclass(frozen=True, slots=True)
class Junction(Node):
    """Two or more terms joined by the same `and` or `or`."""

    operator: Literal["and", "or"]
    terms: tuple[AnyNode, ...]


AnyNode = Number | Text | Truth | Name | Prefix | Param | Items | Call | Unary | Binary | Junction

COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "contains", "matches"})
_WORD = r"[A-Za-z_\u3400-\u9fff][A-Za-z0-9_\u3400-\u9fff]*(?:-[A-Za-z0-9_\u3400-\u9fff]+)*"
_TOKEN: Final = re.compile(
    rf"""(?P<space>\s+)
    |(?P<number>\d+(?:\.\d+)?)(?P<unit>%|[A-Za-z\u3400-\u9fff]+)?
    |(?P<text>'[^']*'|"[^"]*")
    |(?P<param>\$[A-Za-z_\u3400-\u9fff][A-Za-z0-9_\u3400-\u9fff]*|@{_WORD})
    |(?P<word>{_WORD}(?:\.[A-Za-z0-9_\u3400-\u9fff-]+)*(?:\.\*)?)
    |(?P<sign>==|!=|<=|>=|[<>+\-*/()\[\],])""",
    re.VERBOSE,
)
_INSTEAD: Final = {
    "=": "==", "&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "≥": ">=", "≤": "<=", "≠": "!=", "×": "*", "÷": "/",
    "（": "(", "）": ")", "，": ",", "“": "'", "”": "'", "‘": "'", "’": "'", "【": "[", "】": "]",
    "＞": ">", "＜": "<", "＝": "==", "＞=": ">=", "＜=": "<=", "＞＝": ">=", "＜＝": "<=", "＝＝": "==",
    "！": "not", "！=": "!=", "！＝": "!=", "；": "and", "、": ",",
}  # fmt: skip
_WORDS: Final = {
    "并且": "and", "而且": "and", "且": "and", "和": "and", "与": "and", "或者": "or", "或": "or", "不是": "!=", "等于": "==",
    "不等于": "!=", "大于": ">", "小于": "<", "大于等于": ">=", "小于等于": "<=", "不小于": ">=", "不低于": ">=", "不大于": "<=",
    "不超过": "<=", "包含": "contains", "属于": "in", "非": "not", "不": "not",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int
    unit: str = ""


def _tokens(text: str) -> list[_Token]:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(0, "rules.expression_too_long", limit=MAX_LENGTH)
    found: list[_Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unreadable(text, at)
        kind = match.lastgroup or ""
        if kind == "unit":
            kind = "number"
        if kind == "number":
            unit = match["unit"] or ""
            if unit and unit not in UNITS:
                raise ExpressionError(match.start("unit"), "rules.unknown_unit", read=unit, legal=tuple(UNITS), number=match["number"])
            found.append(_Token("number", match["number"], at, unit))
        elif kind != "space":
            found.append(_Token(kind, match[0], at))
        at = match.end()
    found.append(_Token("end", "", len(text)))
    return found


def _unreadable(text: str, at: int) -> ExpressionError:
    read = text[at : at + 2] if text[at : at + 2] in _INSTEAD else text[at]
    if read in _INSTEAD:
        return ExpressionError(at, "rules.write_instead", read=read, instead=_INSTEAD[read])
    if read in "'\"":
        return ExpressionError(at, "rules.open_text")
    if re.search(r"\d$", text[:at]) and not read.isspace():
        return ExpressionError(at, "rules.bare_number", read=read)
    return ExpressionError(at, "rules.unreadable", read=read)


class _Parser:
    """A recursive-descent parser over one expression's tokens."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._index = 0
        self._depth = 0

    def parse(self) -> AnyNode:
        if self._peek().kind == "end":
            raise ExpressionError(0, "rules.empty_expression")
        node = self._junction("or")
        token = self._peek()
        if token.kind != "end":
            raise self._unexpected(token)
        return node

    def _peek(self) -> _Token:
        return self._tokens[self._index]

    def _next(self) -> _Token:
        token = self._tokens[self._index]
        self._index += 1
        return token

    def _is(self, *texts: str) -> bool:
        token = self._peek()
        return token.kind in {"word", "sign"} and token.text in texts

    def _expect(self, sign: str) -> None:
        token = self._peek()
        if token.kind == "end":
            raise ExpressionError(token.at, "rules.not_closed", expected=sign)
        if not self._is(sign):
            raise ExpressionError(token.at, "rules.expected", expected=sign, read=token.text)
        self._index += 1

    def _unexpected(self, token: _Token) -> ExpressionError:
        if token.kind == "end":
            return ExpressionError(token.at, "rules.unexpected_end")
        if token.text in LATER:
            return ExpressionError(token.at, "rules.later", read=token.text, instead=LATER[token.text])
        if token.text == "not":
            return ExpressionError(token.at, "rules.not_before")
        if token.text in COMPARISONS:
            return ExpressionError(token.at, "rules.chained", read=token.text)
        if token.text == "," and any(before.kind == "number" and before.at + len(before.text) == token.at for before in self._tokens):
            return ExpressionError(token.at, "rules.thousands")
        if token.text in _WORDS:
            return ExpressionError(token.at, "rules.write_instead", read=token.text, instead=_WORDS[token.text])
        return ExpressionError(token.at, "rules.unexpected", read=token.text)

    def _junction(self, operator: Literal["and", "or"]) -> AnyNode:
        at = self._peek().at
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(at, "rules.too_deep", limit=MAX_DEPTH)
        terms = [self._junction("and") if operator == "or" else self._negation()]
        while self._is(operator):
            self._next()
            terms.append(self._junction("and") if operator == "or" else self._negation())
        self._depth -= 1
        return terms[0] if len(terms) == 1 else Junction(operator, tuple(terms), at=at)

    def _negation(self) -> AnyNode:
        token = self._peek()
        if not self._is("not"):
            return self._comparison()
        self._next()
        return Unary("not", self._nested(self._negation), at=token.at)

    def _nested(self, inner: Callable[[], AnyNode]) -> AnyNode:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(self._peek().at, "rules.too_deep", limit=MAX_DEPTH)
        node = inner()
        self._depth -= 1
        return node

    def _comparison(self) -> AnyNode:
        left = self._sum()
        token = self._peek()
        if token.kind not in {"word", "sign"} or token.text not in COMPARISONS:
            return left
        self._next()
        return Binary(token.text, left, self._sum(), at=left.at)

    def _sum(self) -> AnyNode:
        return self._chain(("+", "-"), self._product)

    def _product(self) -> AnyNode:
        return self._chain(("*", "/"), self._sign)

    def _chain(self, operators: tuple[str, ...], inner: Callable[[], AnyNode]) -> AnyNode:
        node = inner()
        for _ in range(MAX_DEPTH):
            if not self._is(*operators):
                return node
            operator = self._next().text
            node = Binary(operator, node, inner(), at=node.at)
        raise ExpressionError(node.at, "rules.too_deep", limit=MAX_DEPTH)

    def _sign(self) -> AnyNode:
        token = self._peek()
        if not self._is("-"):
            return self._atom()
        self._next()
        return Unary("-", self._nested(self._sign), at=token.at)

    def _atom(self) -> AnyNode:
        token = self._next()
        if token.kind == "number":
            return Number(token.text, token.unit, at=token.at)
        if token.kind == "text":
            return Text(token.text[1:-1], at=token.at)
        if token.kind == "param":
            return Param(token.text.removeprefix("$"), at=token.at)
        if token.kind == "word":
            return self._word(token)
        if token.text == "(" and token.kind == "sign":
            node = self._junction("or")
            self._expect(")")
            return node
        if token.text == "[" and token.kind == "sign":
            return self._items(token)
        raise self._unexpected(token)

    def _word(self, token: _Token) -> AnyNode:
        if token.text in {"true", "false"}:
            return Truth(token.text == "true", at=token.at)
        if token.text in KEYWORDS:
            raise self._unexpected(token)
        if token.text.endswith(".*"):
            return Prefix(ALIASES.get(token.text[:-2], token.text[:-2]), at=token.at)
        if self._is("("):
            self._next()
            argument = self._junction("or")
            self._expect(")")
            return Call(token.text, argument, at=token.at)
        return Name(ALIASES.get(token.text, token.text), at=token.at)

    def _items(self, token: _Token) -> AnyNode:
        members: list[AnyNode] = []
        while not self._is("]"):
            if members:
                self._expect(",")
            member = self._sign()
            if isinstance(member, Items | Call | Binary | Junction) or (
                isinstance(member, Unary) and not isinstance(member.operand, Number)
            ):
                raise ExpressionError(member.at, "rules.list_member")
            members.append(member)
        self._next()
        return Items(tuple(members), at=token.at)


@lru_cache(maxsize=16_384)  # the checker, the judgments and the coverage each ask for the tree of the same text
def parse(text: str) -> AnyNode:
    """Return the tree of an expression.

    >>> parse("complaints_7d >= $burst").operator
    '>='

    Raises:
        ExpressionError: `text` is no expression; the first place where it stops being one.
    """
    return _Parser(text).parse()
