"""The engine in machine code: it runs where it was made of the very sources that are there, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import msgspec
import pytest

from app.engine import FOLDER, MANIFEST, TOP, Manifest, digest, hindrance, take
from benchmarks.riskbench.generate import write
from domain.messages import text

SOURCE = "streams/stages/one.py"


def folder(top: Path, *, abi: str = "", source: str = "x = 1\n") -> Path:
    """Make a checkout of one source, and what was compiled of `source`, which may be another text."""
    kept = top / "compiled"
    kept.mkdir()
    (top / "streams" / "stages").mkdir(parents=True)
    (top / SOURCE).write_text("x = 1\n", encoding="utf-8")
    (kept / "one.so").write_bytes(b"")
    made = top / "made_of.py"
    made.write_text(source, encoding="utf-8")
    found = str(sysconfig.get_config_var("SOABI"))
    manifest = Manifest(abi=abi or found, modules={"streams.stages.one": "one.so"}, sources={SOURCE: digest(made)})
    (kept / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return kept


def test_machine_code_of_these_sources_may_run(tmp_path: Path) -> None:
    """Nothing stands in the way of what was made of what is there."""
    assert not hindrance(folder(tmp_path), tmp_path)


def test_an_edited_source_runs_itself(tmp_path: Path) -> None:
    """Who edits a source does not wonder why nothing changes."""
    assert hindrance(folder(tmp_path, source="x = 2\n"), tmp_path) == "engine.other_sources"


def test_a_source_that_is_gone_is_another_source(tmp_path: Path) -> None:
    """A removed file counts as a change."""
    kept = folder(tmp_path)
    (tmp_path / SOURCE).unlink()
    assert hindrance(kept, tmp_path) == "engine.other_sources"


def test_another_python_runs_the_sources(tmp_path: Path) -> None:
    """Machine code of another Python would bring this one down."""
    assert hindrance(folder(tmp_path, abi="cpython-39-other"), tmp_path) == "engine.other_python"


@pytest.mark.parametrize(("missing", "why"), [(MANIFEST, "engine.not_there"), ("one.so", "engine.damaged")])
def test_half_a_folder_is_none(tmp_path: Path, missing: str, why: str) -> None:
    """A copy that was cut short is not used."""
    kept = folder(tmp_path)
    (kept / missing).unlink()
    assert hindrance(kept, tmp_path) == why


def test_a_damaged_list_is_said_to_be_damaged(tmp_path: Path) -> None:
    """What cannot be read is not guessed at."""
    kept = folder(tmp_path)
    (kept / MANIFEST).write_text("{", encoding="utf-8")
    assert hindrance(kept, tmp_path) == "engine.damaged"


def test_who_asks_for_the_sources_gets_them(tmp_path: Path) -> None:
    """`FENGSUI_COMPILED=no` needs no folder."""
    assert take("no", folder(tmp_path), tmp_path) == (False, "engine.not_wanted")


@pytest.mark.parametrize(("wanted", "why"), [("yes", "engine.not_there"), ("fast", "engine.unknown")])
def test_what_cannot_be_had_is_refused_in_both_languages(tmp_path: Path, wanted: str, why: str) -> None:
    """Who insists on machine code is told why there is none."""
    with pytest.raises(SystemExit) as refusal:
        take(wanted, tmp_path, tmp_path)
    assert [f"FENGSUI_COMPILED={wanted}" in line for line in str(refusal.value).splitlines()] == [True, True]
    assert text(why) in str(refusal.value)
    assert text(why, "en") in str(refusal.value)


def test_what_is_compiled_answers_as_its_sources_do(tmp_path: Path) -> None:
    """The same signals through both engines give the same hits and warnings, byte by byte."""
    if why := hindrance(FOLDER, TOP):
        assert os.environ.get("CI") != "true", text(why, "en")
        pytest.skip(text(why, "en"))
    signals = tmp_path / "signals.ndjson"
    write(signals, 60_000)
    found = {}
    for compiled in ("no", "yes"):
        told = [tmp_path / f"{name}-{compiled}" for name in ("warnings", "hits")]
        command = [sys.executable, "-m", "app.cli", "replay", "--engine", "python", "--rules", str(TOP / "benchmarks/riskbench/points20")]
        files = ["--signals", str(signals), "--out", str(told[0]), "--hits", str(told[1])]
        subprocess.run([*command, *files], cwd=TOP, check=True, env=os.environ | {"FENGSUI_COMPILED": compiled}, capture_output=True)
        found[compiled] = [path.read_bytes() for path in told]
    assert found["no"] == found["yes"]
    assert min(told.count(b"\n") for told in found["no"]) > 50
