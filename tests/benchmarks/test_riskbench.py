"""RiskBench: its packs say what its semantics say, and the product gives the reference's hits."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import app
from benchmarks.riskbench import generate, packs, reference
from benchmarks.riskbench.semantics import INDICATORS, rules
from rules.load import load_rules

SIGNALS = 8_000
OBJECTS = 300  # few, so that many rules become true


@pytest.fixture(scope="module")
def signals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small input."""
    path = tmp_path_factory.mktemp("riskbench") / "signals.ndjson"
    generate.write(path, SIGNALS, OBJECTS)
    return path


def test_the_input_is_the_same_on_every_machine(signals: Path) -> None:
    """The bytes for a number of signals and objects are fixed."""
    assert hashlib.sha256(signals.read_bytes()).hexdigest()[:16] == "1e90dedce89a8e30"


def test_the_committed_packs_are_what_the_generator_writes() -> None:
    """Nobody edited a pack by hand or the semantics without writing the packs again."""
    for folder, (count, points) in packs.committed().items():
        assert (folder / "riskbench.yaml").read_text(encoding="utf-8") == packs.pack(count, points)


def test_a_pack_holds_the_rules_in_their_order() -> None:
    """Rule rb-007 is the eighth of the semantics, with its conditions."""
    loaded = load_rules({"riskbench.yaml": packs.pack(100, 0)})
    assert [rule.id for rule in loaded.rules] == [f"rb-{number:03d}" for number in range(100)]
    assert [rule.when.text for rule in loaded.rules] == [" and ".join(map(packs.condition, rule)) for rule in rules(100)]
    assert [indicator.title for indicator in loaded.indicators.values()] == [indicator.name for indicator in INDICATORS]


@pytest.mark.parametrize("count", [20, 100])
def test_replay_gives_the_hits_of_the_reference(signals: Path, tmp_path: Path, count: int) -> None:
    """Every hit, one by one and in order, and no warning from rules without points."""
    wanted = io.StringIO()
    told = reference.run(signals, count, wanted)
    hits, out = tmp_path / "hits.ndjson", tmp_path / "warnings.ndjson"
    folder = str(packs.HERE / f"rules{count}")
    done = CliRunner().invoke(app, ["replay", "--rules", folder, "--signals", str(signals), "--out", str(out), "--hits", str(hits)])
    assert done.exit_code == 0, done.output
    given = [json.loads(line) for line in hits.read_text(encoding="utf-8").splitlines()]
    assert [f"{hit['signal']} {hit['object_id']} {int(hit['rule'].removeprefix('rb-'))}" for hit in given] == wanted.getvalue().splitlines()
    assert told["hits"] == len(given) > 200
    assert not out.read_text(encoding="utf-8")
