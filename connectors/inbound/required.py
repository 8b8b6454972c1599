"""Which columns a table must have before any of its rows is worth reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Mapping as ReadOnly

from connectors.inbound.headers import header_forms, normalise_header
from connectors.inbound.mapping_model import Field, Slots
from domain.messages import text as say
from rules.problems import nearest

_SHOWN = 20  # unknown columns that a message names
_LONGEST = 60  # characters of each


def lacking(
    fields: ReadOnly[str, Field], slots: Slots, key: Sequence[tuple[str, ...]], knows: Callable[[str], bool]
) -> Callable[[Sequence[str]], str]:
    """Return the function that says what the headers of a table lack, "" where every record can be whole.

    Needed are a column for each required field, for the time of occurrence and for each part of the key; of several fields that may
    fill one place any will do, and a field with a default or that is read only beside others is not asked for.
    """
    single = [(name,) for name, field in fields.items() if field.required]
    needed = [names for names in dict.fromkeys((*single, slots.occurred_at, *key)) if not any(_is_free(fields[name]) for name in names)]

    def say_what_lacks(headers: Sequence[str]) -> str:
        there = {form for header in headers for form in header_forms(header)}
        missing = [names for names in needed if not any(normalise_header(alias) in there for alias in _aliases(fields, names))]
        if not missing:
            return ""
        unknown = [_shown(header) for header in headers if header.strip() and not knows(header)][:_SHOWN]
        near = [(header, nearest(header, _aliases(fields, names))) for names in missing for header in unknown]
        return say(
            "intake.no_columns",
            missing="、".join(dict.fromkeys(_title(fields, names) for names in missing)),
            unknown="、".join(unknown) or "–",
            near="".join(say("intake.near_column", value=header, near=alias) for header, alias in near if alias),
        )

    return say_what_lacks


def _shown(header: str) -> str:
    """Return a header as a message can hold it: short, and with a mark for bytes that were no text."""
    return header.strip()[:_LONGEST].encode("utf-8", "replace").decode()


def _is_free(field: Field) -> bool:
    """Say whether a field can have a value, or need none, without a column of its own."""
    return field.default is not None or field.conditional or any("[]" in alias for alias in field.aliases)


def _aliases(fields: ReadOnly[str, Field], names: Sequence[str]) -> list[str]:
    return [alias for name in names for alias in fields[name].aliases]


def _title(fields: ReadOnly[str, Field], names: Sequence[str]) -> str:
    """Return what people call the column: its first Chinese name, with the code name behind it where there is one."""
    aliases = _aliases(fields, names)
    chinese = next((alias for alias in aliases if not alias.isascii()), aliases[0])
    return chinese if chinese == aliases[0] else f"{chinese}（{aliases[0]}）"
