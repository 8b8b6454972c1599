"""When a replay may go through the compiled kernel, and the kernel's machine code.

python -m app.columnar      compiles the kernel now, so that no later start has to (`make setup` does)
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from domain.messages import both
from rules.load import load_rules
from rules.ruleset import RuleSet
from streams.kernel.placement import place

if TYPE_CHECKING:
    from domain.findings import Outcome
    from domain.signals import Signal
    from streams.runtimes.columnar import ColumnarReplay, Read
    from streams.runtimes.watching import Complete

RECORD: Final = b'{"seq"'  # a line of a journal export begins so

_PACK: Final = """\
pack: warm
title: warm
sector: warm
owner: warm
plan: warm
effective: {from: 2000-01-01}
indicators:
  mean: {mean: value, where: source == iot and value > 1, window: 1h}
  sum: {sum: value, window: 1h, exact: true}
  kinds: {distinct: kind, window: month}
  newest: {last: value, window: day, as_of: object}
  least: {min: value, window: 1d}
  count: {count: signals, window: 1h, exact: true, as_of: object}
rules:
  - {id: one, title: one, status: active, when: mean > 1 and severity >= 2, points: 0, say: a, basis: [a]}
  - {id: two, title: two, status: active, when: sum > 1 or kinds > 1 or newest < 0 or count >= 2, points: 0, say: b, basis: [b]}
  - {id: three, title: three, status: active, when: least > 5, points: 0, say: c, basis: [c]}
  - {id: four, title: four, status: active, when: count >= 2, points: 20, half_life: 1h, say: d, basis: [d]}
  - {id: five, title: five, status: active, when: newest > 3 and severity >= 2, points: 40, half_life: 1h, say: e, basis: [e]}
"""
_LINE: Final = '{"id":"%s","source":"iot","kind":"%s","object_id":"%s","occurred_at":"2026-03-01T00:0%d:00Z","severity":2,"value":%s%s}\n'


class NeedsPipeline(Exception):
    """The replay has to begin again on the pipeline; the text says why, in both languages."""


def has_points(ruleset: RuleSet) -> bool:
    """Tell whether a rule that runs has points: then there may be warnings."""
    return any(rule.points for rule in place(ruleset).rules)


def why_not(ruleset: RuleSet) -> str:
    """Return why a rule set cannot go through the kernel, whatever the replay, in both languages; "" where it can."""
    placement = place(ruleset)
    if not placement.rules and not placement.placed:
        return both("kernel.no_rules")
    if ruleset.inferences:
        return both("kernel.inferences")
    if not placement.whole:
        return both("kernel.python_rules", number=len(placement.reasons), first=placement.reasons[0])
    return "" if installed() else both("kernel.not_installed")


def installed() -> bool:
    """Tell whether there is a compiler for the kernel on this machine."""
    try:
        import numba  # noqa: F401, PLC0415  # half a second that other commands do not pay
    except ImportError:
        return False
    return True


def first_lines_are_signals(paths: Sequence[Path]) -> bool:
    """Tell whether no file begins with a journal record."""
    for path in paths:
        with path.open("rb") as lines:
            if next((line for line in lines if line.strip()), b"").lstrip().startswith(RECORD):
                return False
    return True


def open_replay(
    ruleset: RuleSet,
    read: Read,
    write: Callable[[bytes], object],
    found: Callable[[list[Outcome]], object],
    say: Callable[[str], object],
    *,
    complete: Complete | None = None,
) -> ColumnarReplay:
    """Return a replay through the kernel; `say` is told where it has to be compiled first.

    `write` takes the lines of hits and `found` all other outcomes, each in order. With `complete` the evidence of warnings is told of their
    last states alone (`ColumnarReplay`).
    `read` may raise `NeedsPipeline`: the caller begins again on the Python engine.
    """
    from streams.kernel import jit  # noqa: PLC0415  # see `installed`
    from streams.runtimes.columnar import ColumnarReplay  # noqa: PLC0415  # as above

    if not jit.kept():
        jit.tidy()
        say(both("kernel.compiling"))
    return ColumnarReplay(ruleset, place(ruleset), read, write, found, complete=complete)


def warm(say: Callable[[str], object]) -> None:
    """Compile everything, and keep it."""
    import msgspec  # noqa: PLC0415  # as above

    from connectors.inbound.canonical import read_signal  # noqa: PLC0415  # as above

    lines = [_LINE % (f"s{n}", f"k{n % 2}", f"o{n % 3}", n % 10, n, "") for n in range(8)]
    lines += [_LINE % ("s9", "k", "o1", 9, "1e1", ""), _LINE % ("s8", "k", "o1", 9, "1", ',"attrs":{"a":1}'), lines[0]]
    later = datetime.fromisoformat("9000-01-01T00:00:00+00:00")

    def read(line: bytes, path: Path, number: int) -> tuple[str, Signal, None]:
        del number
        return path.stem, read_signal(msgspec.json.decode(line), later), None

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warm.ndjson"
        path.write_text("".join(lines), encoding="utf-8")
        replay = open_replay(load_rules({"warm.yaml": _PACK}), read, lambda _: None, lambda _: None, say)
        replay.play([path])
        replay.forget()


if __name__ == "__main__":
    warm(lambda line: sys.stderr.write(f"{line}\n"))
