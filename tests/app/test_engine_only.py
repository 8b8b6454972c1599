"""`fengsui replay --engine-only`: the warnings of rules, fusion and raising, with nobody to tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli import app
from domain.findings import EarlyWarning, EpisodeEnded, RuleHit, WarningRaised, WarningUpdated
from streams.runtimes.findings import Findings
from tests.factories import at, make_warning

PACK = """\
pack: p
title: t
sector: gas
owner: o
plan: q
effective: {from: 2026-01-01}
indicators:
  n: {title: n, count: signals, window: 7d}
  v: {title: v, sum: value, window: 7d}
rules:
  - {id: busy, title: busy, status: active, when: n >= 30, points: 40, half_life: 12h, say: "{n}", basis: [b]}
  - {id: much, title: much, status: active, when: v >= 1000000, points: 1, say: x, basis: [b]}
"""


def signals() -> list[str]:
    """Return signals of 200 objects much alike, and forty of one that is not, within an hour."""
    many = [(f"o-{n:03}", float(1 + n % 5)) for n in range(200) for _ in range(1 + n % 4)]
    given = [*many, *(("o-odd", 500.0) for _ in range(40))]
    lines = []
    for n, (object_id, value) in enumerate(given):
        about = {"source": "hotline", "kind": "gas.leak", "object_id": object_id, "value": value}
        lines.append(json.dumps({"id": f"s{n}", **about, "occurred_at": f"2026-03-01T00:{n // 60:02}:{n % 60:02}Z"}))
    return lines


def play(folder: Path, *options: str) -> tuple[Result, list[dict[str, Any]], dict[str, Any], str]:
    """Replay; return the run, its warnings, its summary and its hits."""
    rules = folder / "rules"
    rules.mkdir(exist_ok=True)
    (rules / "p.yaml").write_text(PACK, encoding="utf-8")
    given, out, hits, summary = (folder / name for name in ("s.ndjson", "out", "hits", "summary"))
    given.write_text("\n".join(signals()) + "\n", encoding="utf-8")
    files = ["--rules", rules, "--signals", given, "--out", out, "--hits", hits, "--summary", summary]
    done = CliRunner().invoke(app, ["replay", *map(str, files), *options])
    if done.exit_code:
        return done, [], {}, ""
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return done, found, json.loads(summary.read_text(encoding="utf-8")), hits.read_text(encoding="utf-8")


def test_the_engine_alone_finds_what_the_whole_product_finds_but_for_the_comparison_of_objects(tmp_path: Path) -> None:
    """Same hits, same warning, same id; what the model adds at night and what routing adds is not there."""
    until = ("--until", "2026-03-02T04:00:00+08:00")
    _, whole, told_whole, hits_whole = play(tmp_path, *until)
    _, alone, told, hits = play(tmp_path, *until, "--engine-only")
    assert hits == hits_whole != ""
    assert told["warnings"] == told_whole["warnings"] == 1
    assert [each["id"] for each in alone] == [each["id"] for each in whole]
    assert [part["source"] for part in whole[0]["contributions"]] == ["rule", "model"]
    assert [part["source"] for part in alone[0]["contributions"]] == ["rule"]
    assert "status" in whole[0]
    assert alone[0].keys() == {*EarlyWarning.__struct_fields__, "ended", "ended_at"}


def test_the_last_state_of_a_warning_tells_how_it_ended(tmp_path: Path) -> None:
    """Open at first, its level falling with time; over after the quiet period."""
    _, (still,), _, _ = play(tmp_path, "--engine-only", "--until", "2026-03-03T08:00:00+08:00")
    assert (still["level"], still["current_level"], still["ended"], still["ended_at"]) == ("yellow", "", None, None)
    _, (over,), _, _ = play(tmp_path, "--engine-only", "--until", "2026-04-01T08:00:00+08:00")
    assert (over["id"], over["ended"]) == (still["id"], "quiet")
    assert still["updated_at"] == over["updated_at"] < over["ended_at"]


def test_departments_have_no_part_in_it(tmp_path: Path) -> None:
    """To give them is a mistake that is told, not passed over."""
    (tmp_path / "d.yaml").write_text("departments: []\n", encoding="utf-8")
    done, *_ = play(tmp_path, "--engine-only", "--departments", str(tmp_path / "d.yaml"))
    assert done.exit_code == 2
    assert "--departments" in done.output


@pytest.mark.parametrize("together", [True, False])
def test_findings_keep_the_last_state_of_each_warning(together: bool) -> None:
    """By the time at which they were raised, then by id, however the outcomes are cut; hits are none."""
    first, second, third = (make_warning(id=name, raised_at=at(hours)) for name, hours in (("w2", 1), ("w1", 1), ("w0", 2)))
    later = make_warning(id="w2", raised_at=at(1), level="red")
    hit = RuleHit(rule="r", subject="o-1", object_id="o-1", matter="gas", feed="f", signal="s", seq=1, at=at(1), values={}, message="m")
    outcomes = [
        WarningRaised(warning=third),
        hit,
        WarningRaised(warning=first),
        WarningRaised(warning=second),
        WarningUpdated(warning=later, reason="level_raised"),
        EpisodeEnded(warning_id="w1", at=at(9), reason="withdrawn"),
    ]
    found = Findings()
    for part in [outcomes] if together else [[each] for each in outcomes]:
        found.take(part)
    lines = [json.loads(line) for line in found.lines()]
    assert [(each["id"], each["level"], each["ended"]) for each in lines] == [
        ("w1", first.level, "withdrawn"),
        ("w2", "red", None),
        ("w0", first.level, None),
    ]
    assert len(found) == 3
