"""`fengsui bench riskbench` in small: it compares, and a planted defect makes it fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.riskbench import sixty
from benchmarks.riskbench.bench import same_hits
from tests.campaigns.serving import ROOT


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a small input."""
    command = [sys.executable, "-m", "app.cli", "bench", "riskbench", "--signals", "20000", "--rules", "20", "--repeat", "1", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)


def test_the_bench_finds_identical_hits_and_tells_both_ratios() -> None:
    """The hits are the reference's, with points and without, warnings those of the Python engine, and 60 indicators the evaluator's."""
    done = bench("--warnings", "2000", "--sixty", "300", "--no-slope", "--output", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert [(row["engine"], row["identical"]) for row in told["hits"]] == [("kernel", True)]
    assert [(row["engine"], row["identical"]) for row in told["warnings"]] == [("kernel", True)]
    assert [(row["engine"], row["identical"], row["warnings"] > 0) for row in told["states"]] == [("kernel", True, True)]
    assert told["sixty"][0]["identical"]
    assert told["sixty"][0]["hits"] > 100


def test_a_planted_defect_makes_the_bench_fail() -> None:
    """One window a day too long in the product's rules, and the exit code is 1."""
    done = bench("--warnings", "0", "--sixty", "0", "--no-slope", "--plant", "window", "--output", "json")
    assert done.returncode == 1, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert not told["hits"][0]["identical"]
    assert not told["states"][0]["identical"]


def test_hits_are_compared_one_by_one_and_to_the_end(tmp_path: Path) -> None:
    """A missing hit, one too many and another order are all differences."""
    wanted, hits = tmp_path / "wanted", tmp_path / "hits"
    wanted.write_text("s1 o1 0\ns2 o1 1\n", encoding="utf-8")
    lines = [json.dumps({"signal": f"s{n}", "object_id": "o1", "rule": f"rb-00{n - 1}"}) + "\n" for n in (1, 2, 3)]
    same = {}
    for name, given in {"both": lines[:2], "one": lines[:1], "three": lines, "turned": lines[1::-1]}.items():
        hits.write_text("".join(given), encoding="utf-8")
        same[name] = same_hits(wanted, hits)[1]
    assert same == {"both": True, "one": False, "three": False, "turned": False}


def test_the_evaluator_knows_windows_by_their_words() -> None:
    """A count over a calendar day starts anew at midnight in Shanghai; one over an hour, exact, lets go after an hour."""
    first, second = (sixty.signals(2)[n] | {"source": "iot"} for n in (0, 1))
    day = sixty.Drawn("d", "count", "signals", "", "day", exact=False, own=False)
    hour = sixty.Drawn("h", "count", "signals", "", "1h", exact=True, own=False)

    def at(text: str, signal: dict[str, object]) -> dict[str, object]:
        return signal | {"at": sixty.datetime.fromisoformat(f"2026-03-30T{text}+08:00")}

    assert sixty.value(day, [at("23:30:00", first), at("23:59:59", second)]) == 2
    assert sixty.value(hour, [at("10:00:00", first), at("11:00:00", second)]) == 1
    assert sixty.value(hour, [at("10:00:01", first), at("11:00:00", second)]) == 2
