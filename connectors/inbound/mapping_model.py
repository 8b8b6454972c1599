"""A compiled mapping: how one feed's records become signals. Data only; `mapping_load` makes it, `mapping` applies it."""

from __future__ import annotations

from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Literal

from connectors.inbound.dates import TimeFormats
from connectors.inbound.rows import Shape
from domain.errors import Problem
from domain.signals import Confidentiality, Source

FieldType = Literal["text", "code", "time", "number", "amount", "point"]
FIELD_TYPES: tuple[str, ...] = FieldType.__args__  # type: ignore[attr-defined]  # typing has no typed way to list a Literal
Take = Literal["first", "join", "max", "count", "organisation"]
TAKES: tuple[str, ...] = Take.__args__  # type: ignore[attr-defined]  # as above

# Yuan per unit of account; CNY is what a signal's value is in.
MONEY: ReadOnly[str, int] = MappingProxyType({
    "元": 1, "人民币元": 1, "cny": 1, "百元": 100, "千元": 1000, "万元": 10_000, "百万元": 1_000_000, "亿元": 100_000_000,
})  # fmt: skip

# The sector (matter) that a signal's kind belongs to, by the kind's first part.
SECTORS_OF_KINDS: ReadOnly[str, str] = MappingProxyType({
    "gas": "gas", "food": "food", "equipment": "special-equipment", "chemical": "hazardous-chemicals",
    "construction": "construction", "wages": "construction", "prepaid": "prepaid",
    "drug": "drugs", "house": "housing", "oil": "refined-oil", "finance": "finance", "transport": "transport", "care": "care",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """A canonical field of a record: `aliases` are headers, codes or JSON paths, in order of preference.

    `unit` is the unit of a number that names none; an amount of money is kept in CNY. `codes` is a value table, compared after NFKC and
    case folding; a value that is not in it stays as it is.
    It is read only where all fields of `beside` have a value in the record and none of `without` has: a code may mean one thing in one
    edition of a form and another in the next.
    `take` reduces a list, or what a path with `[]` leads to; `organisation` is the first name in it that is no natural person's.
    """

    name: str
    aliases: tuple[str, ...]
    type: FieldType = "text"
    required: bool = False
    unit: str = ""
    codes: ReadOnly[str, str] = field(default_factory=lambda: MappingProxyType({}))
    default: str | None = None
    take: Take = "first"
    low: float | None = None
    high: float | None = None
    beside: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def conditional(self) -> bool:
        """Whether it depends on other fields if this one has a value."""
        return bool(self.beside or self.without)


@dataclass(frozen=True, slots=True)
class Keywords:
    """A keyword rule: gives `give` when one sentence has a word of each group of `groups` and none of `without`.

    Sentence by sentence: in a long complaint "gas" and "smell" may stand a page apart and have nothing to do with each other.
    """

    give: str
    groups: tuple[tuple[str, ...], ...]
    without: tuple[str, ...] = ()

    def fits(self, sentence: str) -> bool:
        """Say whether the rule holds for one sentence, which is NFKC and lower case.

        >>> Keywords("gas.leak", (("燃气", "煤气"), ("泄漏", "异味")), ("演练",)).fits("小区煤气有异味")
        True
        """
        return self.may_fit(sentence) and not (self.without and any(word in sentence for word in self.without))

    def may_fit(self, text: str) -> bool:
        """Say whether there is a word of each group in `text`; if not, no sentence of it fits."""
        for group in self.groups:  # loops, not any() and all(): this runs for every rule on every record
            for word in group:
                if word in text:
                    break
            else:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Chooser:
    """How kind, severity or matter is found: code tables first, then keyword rules in order, then the default (None: nothing)."""

    codes: tuple[tuple[str, ReadOnly[str, str]], ...] = ()  # (field, value → result)
    reads: tuple[str, ...] = ()  # fields that the keyword rules read; a short first one is a headline, part of every sentence
    rules: tuple[Keywords, ...] = ()
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """Records that say nothing: a heartbeat. `when` holds for every field one of the values; `""` is an empty field."""

    reason: str
    when: tuple[tuple[str, frozenset[str]], ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Records that can be read and may mean one thing or another: rejected for `field` with `why`; `when` as in `Skip`."""

    field: str
    why: str
    when: tuple[tuple[str, frozenset[str]], ...]


@dataclass(frozen=True, slots=True)
class Slots:
    """Which fields fill the signal's own places; the first that holds something does."""

    occurred_at: tuple[str, ...]
    code: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    address: tuple[str, ...] = ()
    object_id: tuple[str, ...] = ()
    object_type: tuple[str, ...] = ()
    region: tuple[str, ...] = ()
    value: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()
    text: tuple[str, ...] = ()  # joined
    point: tuple[str, ...] = ()
    lng: tuple[str, ...] = ()
    lat: tuple[str, ...] = ()
    datum: Literal["WGS84", "GCJ02", "BD09"] = "WGS84"


@dataclass(frozen=True, slots=True)
class Mapping:
    """One feed. `revisable` says whether the same key with other content is a revision (decision 1).

    `delay` is how late the feed's records usually are (a rule's window must not be shorter), `retention` how long raw input is kept.
    `silent_after` is the contract's limit after which a feed that says nothing is silent (decision 5); None: it is not watched.
    """

    feed: str
    title: str
    source: Source
    confidential: Confidentiality
    shape: Shape
    fields: ReadOnly[str, Field]
    slots: Slots
    key: tuple[tuple[str, ...], ...]
    kind: Chooser
    severity: Chooser
    matter: Chooser
    times: TimeFormats
    nulls: frozenset[str]
    attrs: tuple[str, ...]
    constants: ReadOnly[str, str] = field(default_factory=lambda: MappingProxyType({}))
    personal: frozenset[str] = frozenset()
    personal_when: ReadOnly[str, tuple[tuple[str, frozenset[str]], ...]] = field(default_factory=lambda: MappingProxyType({}))
    skips: tuple[Skip, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    revisable: bool = False
    revised_by: str = ""
    future: timedelta = timedelta(minutes=5)
    delay: timedelta = timedelta(0)
    silent_after: timedelta | None = None
    retention: timedelta = timedelta(days=1095)
    file: str = ""
    warnings: tuple[Problem, ...] = ()
    conditional: ReadOnly[str, Field] = field(default_factory=lambda: MappingProxyType({}))
    plans: dict[tuple[str, ...], Any] = field(default_factory=dict, compare=False)  # sources of fields by headers, filled while applying
