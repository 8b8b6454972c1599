"""Headers as they are compared, and where in a table they stand."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

SEARCHED = 10  # rows at the top of a table among which the header is looked for: titles and notes stand above it
_BRACKETED = re.compile(r"[(\[【〔{<《]([^)\]】〕}>》]*)[)\]】〕}>》]")
_IGNORED = re.compile(r"[\s_\-*:()\[\]【】〔〕{}<>《》/\\'\"`、,]+")
_COPY = re.compile(r"#\d+$")


def normalise_header(header: str) -> str:
    """Return a header without width, case, blanks, underscores, brackets and the star of a required column; dots of paths stay.

    >>> normalise_header("CF_XDR_MC"), normalise_header("cfXdrMc"), normalise_header("罚款金额（万元）*")
    ('cfxdrmc', 'cfxdrmc', '罚款金额万元')
    """
    return _IGNORED.sub("", unicodedata.normalize("NFKC", _COPY.sub("", header)).casefold())


def header_forms(header: str) -> tuple[str, ...]:
    """Return the normalised forms under which a header may be known: whole, without its brackets, each bracket's content.

    >>> header_forms("罚款金额(元)"), header_forms("行政相对人名称（CF_XDR_MC）")
    (('罚款金额元', '罚款金额', '元'), ('行政相对人名称cfxdrmc', '行政相对人名称', 'cfxdrmc'))
    """
    wide = unicodedata.normalize("NFKC", header)
    forms = [normalise_header(wide)]
    inside = _BRACKETED.findall(wide)
    if inside:
        forms += [normalise_header(_BRACKETED.sub("", wide)), *(normalise_header(part) for part in inside)]
    return tuple(dict.fromkeys(form for form in forms if form))


def bracket_of(header: str) -> str:
    """Return the content of a header's last bracket, "" where it has none; it may be a unit.

    >>> bracket_of("罚款金额（万元）"), bracket_of("罚款金额")
    ('万元', '')
    """
    found = _BRACKETED.findall(unicodedata.normalize("NFKC", header))
    return str(found[-1]).strip() if found else ""


def unique_headers(cells: Sequence[str]) -> list[str]:
    """Return headers with `#2`, `#3` on repetitions and `列3` for the nameless, so that no column hides another.

    >>> unique_headers(["配合单位", "配合单位", ""])
    ['配合单位', '配合单位#2', '列3']
    """
    seen: dict[str, int] = {}
    headers = []
    for place, cell in enumerate(cells, start=1):
        name = cell.strip() or f"列{place}"
        seen[name] = seen.get(name, 0) + 1
        headers.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return headers


def find_header(rows: Sequence[Sequence[str]], knows: Callable[[str], bool]) -> tuple[int, int, list[str]] | None:
    """Return where a table's header begins, how many rows it has (1 or 2) and its names; None where no row knows a header.

    The row with the most known headers wins, the earlier one where two have the same. Two rows are one header where the lower
    completes the upper (merged cells: 监管部门 over 牵头单位 and 配合单位): a column is called by its lower cell, or by its upper
    where that is empty.
    """
    counts = [_known(row, knows) for row in rows[:SEARCHED]]
    count = max(counts, default=0)
    if count == 0:
        return None
    start = counts.index(count)
    found = (start, 1, list(rows[start]))
    for upper in (start, start - 1):
        if upper < 0 or upper + 1 >= len(rows):
            continue
        names = _stacked(rows[upper], rows[upper + 1])
        if _known(names, knows) > count or (upper == start and _is_header(rows[upper + 1], knows)):
            return upper, 2, names
    return found


def _known(names: Sequence[str], knows: Callable[[str], bool]) -> int:
    return sum(1 for name in names if name.strip() and knows(name))


def _is_header(row: Sequence[str], knows: Callable[[str], bool]) -> bool:
    """Say whether every cell of a row that holds something is a known header."""
    cells = [cell for cell in row if cell.strip()]
    return bool(cells) and all(knows(cell) for cell in cells)


def _stacked(upper: Sequence[str], lower: Sequence[str]) -> list[str]:
    """Return the names of a two-row header."""
    width = max(len(upper), len(lower))
    above = [*upper, *[""] * (width - len(upper))]
    below = [*lower, *[""] * (width - len(lower))]
    return [low.strip() or high for high, low in zip(above, below, strict=True)]
