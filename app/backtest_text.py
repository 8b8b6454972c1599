"""A backtest's report for people: plain text for a terminal, Markdown for a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from app.backtesting import UNROUTED, Change, Figures, Report, Side
from domain.instants import spoken
from domain.messages import both, text

VERDICTS: Final = ("confirmed", "unfounded", "unverifiable", "withdrawn", "")
Row = Sequence[str]


def report_lines(report: Report, *, markdown: bool) -> Iterator[str]:
    """Yield the report line by line."""
    table, old, new = _markdown if markdown else _plain, report.old, report.new
    names = report.names | {UNROUTED: both("stage.unrouted")}
    yield ("# " if markdown else "") + both("backtest.title", start=spoken(report.from_), end=spoken(report.to))
    yield ""
    yield both("backtest.sets", old=old.version[:12], new=new.version[:12])
    yield _warm_up(report)
    yield both("backtest.sum", added=report.added, removed=report.removed, changed=report.changed, same=report.same)
    head = ("", both("backtest.old"), both("backtest.new"), "±")
    yield from table(both("backtest.figures"), head, _totals(old, new))
    yield from table(both("backtest.levels"), head, _both_sides(_levels(old), _levels(new)))
    yield from table(both("backtest.departments"), head, _both_sides(_named(old.departments, names), _named(new.departments, names)))
    yield from table(both("backtest.weeks"), head, _both_sides(old.weeks, new.weeks))
    yield from table(both("backtest.hits"), head, _both_sides(old.hits, new.hits))
    yield from table(both("backtest.load"), head, _both_sides(_load(old, names), _load(new, names)))
    columns = [both(f"backtest.column.{name}") for name in ("kind", "subject", "matter", "old", "new", "fields")]
    yield from table(both("backtest.changes"), columns, [_change(one, names) for one in report.changes])
    yield ""
    yield both("backtest.note")


def _warm_up(report: Report) -> str:
    taken = {"records": f"{report.records:,}", "signals": f"{report.signals:,}"}
    if report.warmed_from is None:
        return both("backtest.whole", **taken)
    days = (report.from_ - report.warmed_from).total_seconds() / 86_400
    return both("backtest.warmed", days=f"{days:g}", start=spoken(report.warmed_from), **taken)


def _totals(old: Figures, new: Figures) -> list[Row]:
    found = []
    for one in VERDICTS:
        title = f"{both('backtest.verdict')} {both('backtest.verdict.' + (one or 'none'))}"
        found.append(_row(title, old.verdicts.get(one, 0), new.verdicts.get(one, 0)))
    return [
        _row(both("backtest.warnings"), old.warnings, new.warnings),
        *found,
        (both("backtest.hit_rate"), _share(old.hit_rate), _share(new.hit_rate), ""),
        _row(both("backtest.missed"), old.missed, new.missed),
    ]


def _levels(figures: Figures) -> dict[str, int]:
    return {both(f"level.{name}"): number for name, number in figures.levels.items()}


def _named(counted: Mapping[str, int], names: Mapping[str, str]) -> dict[str, int]:
    """Return counts by department by what people call it, with the id behind the name."""
    return {_unit(unit, names): number for unit, number in counted.items()}


def _unit(unit: str, names: Mapping[str, str]) -> str:
    return unit if unit not in names else names[unit] if unit == UNROUTED else f"{names[unit]} ({unit})"


def _load(figures: Figures, names: Mapping[str, str]) -> dict[str, int]:
    return {f"{_unit(unit, names)} {week}": number for unit, weeks in figures.load.items() for week, number in weeks.items()}


def _both_sides(old: Mapping[str, int], new: Mapping[str, int]) -> list[Row]:
    return [_row(name, old.get(name, 0), new.get(name, 0)) for name in sorted({*old, *new})]


def _row(title: str, old: int, new: int) -> Row:
    return title, f"{old:,}", f"{new:,}", f"{new - old:+,}" if new != old else ""


def _share(share: float | None) -> str:
    return "—" if share is None else f"{share:.1%}"


def _change(one: Change, names: Mapping[str, str]) -> Row:
    sides = _side(one.old, names), _side(one.new, names)
    return text(f"backtest.kind.{one.kind}"), one.subject, one.matter, *sides, ", ".join(one.fields)


def _side(side: Side | None, names: Mapping[str, str]) -> str:
    if side is None:
        return "—"
    verdict = f" {text(f'backtest.verdict.{side.verdict}')}" if side.verdict else ""
    return f"{spoken(side.raised_at)} {text(f'level.{side.level}')} {names.get(side.lead, side.lead)} {'+'.join(side.rules)}{verdict}"


def _plain(title: str, head: Row, rows: Sequence[Row]) -> Iterator[str]:
    yield from ("", title)
    if not rows:
        yield "  —"
    for row in rows:
        cells = [f"{name} {cell}" if name else cell for name, cell in zip(head, row, strict=True) if cell]
        yield "  " + "  ·  ".join(cells)


def _markdown(title: str, head: Row, rows: Sequence[Row]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    if not rows:
        yield "—"
        return
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join(" --- " for _ in head) + "|"
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
