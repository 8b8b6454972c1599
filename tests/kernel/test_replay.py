"""`fengsui replay` through the kernel and through the Python engine: the same, and by itself the one that can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli import app
from tests.app.world import CATALOGUE, OBJECTS

PACK = """\
pack: p
title: t
sector: s
owner: o
plan: q
effective: {from: 2026-01-01}
indicators:
  n: {title: n, count: signals, where: source == hotline, window: 7d}
rules:
  - {id: two, title: two, status: active, when: n >= 2, points: %s, say: x, basis: [b]}
"""


def line(number: int, **more: Any) -> str:
    """Return a signal as a line."""
    signal = {"id": f"s{number}", "source": "hotline", "kind": "k", "object_id": "o-1", "occurred_at": f"2026-03-0{number}T00:00:00Z"}
    return json.dumps(signal | more) + "\n"


class Played:
    """What a replay left behind."""

    def __init__(self, folder: Path, pack: str, lines: list[str], *options: str) -> None:
        (folder / "rules").mkdir(exist_ok=True)
        (folder / "rules" / "p.yaml").write_text(pack, encoding="utf-8")
        signals, hits, out, summary = (folder / name for name in ("s.ndjson", "hits", "out", "summary"))
        signals.write_text("".join(lines), encoding="utf-8")
        files = ["--signals", str(signals), "--hits", str(hits), "--out", str(out), "--summary", str(summary)]
        self.done: Result = CliRunner().invoke(app, ["replay", "--rules", str(folder / "rules"), *files, *options])
        self.hits = hits.read_text(encoding="utf-8") if hits.exists() else ""
        self.warnings = out.read_text(encoding="utf-8") if out.exists() else ""
        self.told: dict[str, Any] = json.loads(summary.read_text(encoding="utf-8")) if summary.exists() else {}


def both(folder: Path, pack: str, lines: list[str], *options: str) -> tuple[Played, Played]:
    """Replay with the engine that is chosen, and with the Python engine."""
    return Played(folder, pack, lines, *options), Played(folder, pack, lines, *options, "--engine", "python")


def test_a_replay_of_hits_goes_through_the_kernel_with_the_same_files(tmp_path: Path) -> None:
    """Hits and summary are those of the Python engine; only the engine's name and what reached Python differ."""
    lines = [line(1), line(2), line(3, id="s1"), line(4, withdraws="s2"), line(5), line(6, received_at="2026-03-07T00:00:00Z")]
    mine, theirs = both(tmp_path, PACK % 0, lines)
    assert (mine.told["engine"], theirs.told["engine"]) == ("kernel", "python")
    assert mine.hits == theirs.hits != ""
    own = ("engine", "engine_reason", "reached")
    assert {key: found for key, found in mine.told.items() if key not in own} == {
        key: found for key, found in theirs.told.items() if key not in own
    }
    assert 0 < mine.told["reached"] < len(lines)


POINTED = (
    (PACK % "30, half_life: 12h")
    + """\
  - {id: hot, title: hot, status: active, when: severity >= 3, points: 45, half_life: 1d, at_least: orange, say: "{n}", basis: [b]}
  - {id: some, title: some, status: shadow, when: n >= 1, points: 60, cooldown: 1d, say: x, basis: [b]}
  - {id: none, title: none, status: active, when: n >= 3, points: 0, say: x, basis: [b]}
"""
)


def test_warnings_of_the_engine_alone_come_through_the_kernel_too(tmp_path: Path) -> None:
    """Levels that rose and fell, an episode that ended, another after it: --out, --hits and --summary are those of the Python engine."""
    times = ["01T00:00", "01T08:00", "01T09:00", "03T00:00", "08T00:00", "09T00:00", "19T00:00", "19T01:00", "28T00:00"]
    lines = [line(1, id=f"s{n}", occurred_at=f"2026-03-{at}:00Z", severity=n % 4, object_id=f"o-{n % 2}") for n, at in enumerate(times)]
    lines += [
        line(1, id="late", occurred_at="2026-03-27T23:00:00Z"),
        line(1, id="undo", withdraws="s8", occurred_at="2026-03-28T01:00:00Z"),
    ]
    lines.append(line(1, id="last", occurred_at="2026-06-01T00:00:00Z", severity=3))
    mine, theirs = both(tmp_path, POINTED, lines, "--engine-only")
    assert (mine.told["engine"], theirs.told["engine"]) == ("kernel", "python")
    assert mine.hits == theirs.hits != ""
    assert mine.warnings == theirs.warnings
    ends = [json.loads(each)["ended"] for each in mine.warnings.splitlines()]
    assert None in ends
    assert "quiet" in ends
    own = ("engine", "engine_reason", "reached")
    assert {key: found for key, found in mine.told.items() if key not in own} == {
        key: found for key, found in theirs.told.items() if key not in own
    }
    assert 0 < mine.told["reached"] <= len(lines)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "warnings are routed"),
        (("--engine-only", "--until", "2026-04-01T00:00:00Z"), "time runs on"),
        (("--engine-only", "--catalogue", "{catalogue}"), "a catalogue is given"),
        (("--engine-only", "--objects", "{objects}"), "a registry of objects"),
    ],
    ids=["routing", "until", "catalogue", "objects"],
)
def test_points_stay_on_the_python_engine_where_more_than_signals_matters(tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    """What the watch of the kernel does not know of (routing, time after the last signal, matters) is told as the reason."""
    (tmp_path / "catalogue.csv").write_text(CATALOGUE, encoding="utf-8")
    (tmp_path / "objects.csv").write_text(OBJECTS, encoding="utf-8")
    given = [each.format(catalogue=tmp_path / "catalogue.csv", objects=tmp_path / "objects.csv") for each in options]
    mine = Played(tmp_path, POINTED, [line(1), line(2)], *given)
    assert mine.done.exit_code == 0, mine.done.output
    assert mine.told["engine"] == "python"
    assert reason in mine.told["engine_reason"]


def test_a_record_behind_signals_begins_again_with_no_warning_kept(tmp_path: Path) -> None:
    """What the kernel had found before it met a record of a journal counts no more: each warning is there once, as Python finds it."""
    record = '{"seq": 1, "received_at": "2026-03-03T00:00:00Z", "entry": {"type": "tick"}}\n'
    mine, theirs = both(tmp_path, POINTED, [line(1), line(2), record, line(3), line(4)], "--engine-only")
    assert mine.told["engine"] == "python"
    assert (mine.hits, mine.warnings) == (theirs.hits, theirs.warnings)
    assert mine.warnings


@pytest.mark.parametrize(
    ("pack", "lines", "reason"),
    [
        (PACK % 10, [line(1), line(2)], "a rule has points"),
        (PACK.replace("count: signals", "stddev: value") % 0, [line(1), line(2)], "aggregate stddev"),
        (PACK.replace("2026-01-01", "2026-03-02") % 0, [line(1), line(2)], "into force"),
        (
            PACK % 0,
            [line(1), '{"seq": 1, "received_at": "2026-03-01T00:00:00Z", "entry": {"type": "tick"}}\n', line(2)],
            "",
        ),
        (
            PACK % 0,
            [line(1), '{"seq":1,"received_at":"2026-03-01T00:00:00Z","entry":{"type":"tick"}}\n', line(2)],
            "journal records",
        ),
    ],
    ids=["points", "aggregate", "later", "spaced record", "record"],
)
def test_what_the_kernel_cannot_do_runs_on_the_python_engine_by_itself(tmp_path: Path, pack: str, lines: list[str], reason: str) -> None:
    """The reason is in the summary, the hits are the same."""
    mine, theirs = both(tmp_path, pack, lines)
    assert mine.told["engine"] == "python"
    assert reason in mine.told["engine_reason"]
    assert mine.hits == theirs.hits


@pytest.mark.parametrize(
    "wrong",
    [line(2, source="hotlin"), line(2, severity=7), line(2, kind=""), line(2, sourcee="x"), "{\n", line(2, occurred_at="2026-03-02")],
    ids=["source", "severity", "kind", "key", "json", "time"],
)
def test_a_line_that_is_no_signal_is_refused_with_the_same_words(tmp_path: Path, wrong: str) -> None:
    """File, line and message are those of the readable decoder."""
    mine, theirs = both(tmp_path, PACK % 0, [line(1), "\n", wrong, line(3)])
    assert mine.done.exit_code == theirs.done.exit_code == 2
    assert "s.ndjson:3:" in theirs.done.output
    assert mine.done.output == theirs.done.output
