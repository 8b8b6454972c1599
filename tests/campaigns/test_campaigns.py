"""Each campaign in small, and its planted defect: a campaign that cannot fail proves nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.campaigns.serving import ROOT


def campaign(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a campaign as `make nightly` does."""
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)


def test_kill9_in_small_holds() -> None:
    """Six kills under load lose nothing and repeat nothing."""
    done = campaign("tests.campaigns.kill9", "--small")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("HELD")


def test_cuts_in_small_hold() -> None:
    """Sixty random rule sets give the same hits and warnings through the kernel, however the signals are cut."""
    done = campaign("tests.campaigns.cuts", "--small")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("HELD")


def test_cuts_catches_a_window_that_is_a_bucket_too_short() -> None:
    """The planted defect makes every window of the kernel one bucket shorter; the campaign sees other hits."""
    done = campaign("tests.campaigns.cuts", "--small", "--plant", "short_window")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "other hits through the kernel alone" in done.stdout


def test_cuts_catches_points_that_begin_to_fade_too_late() -> None:
    """The planted defect lets what a rule contributed fade from a signal too late on; the campaign sees other warnings."""
    done = campaign("tests.campaigns.cuts", "--small", "--plant", "late_since")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "is not that of the pipeline" in done.stdout


def test_kill9_catches_an_answer_before_the_sync() -> None:
    """The planted defect answers while the records are only in memory; the campaign sees them missing."""
    done = campaign("tests.campaigns.kill9", "--small", "--plant", "ack_before_sync")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "acknowledged signals are not there" in done.stdout


@pytest.mark.service("durable-rules")
def test_inference_in_small_holds() -> None:
    """Both engines draw the same conclusions, and a dozen kills lose none."""
    done = campaign("tests.campaigns.inference", "--small")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("HELD")


@pytest.mark.service("kafka")
@pytest.mark.service("postgresql")
def test_chaos_in_small_holds() -> None:
    """A worker and a broker are killed, a worker sleeps through its replacement, PostgreSQL's answers get lost: no signal lost or twice."""
    done = campaign("tests.campaigns.chaos", "--small")
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.rstrip().endswith("HELD")


@pytest.mark.service("kafka")
@pytest.mark.service("postgresql")
def test_chaos_catches_a_frame_that_is_passed_over() -> None:
    """The planted defect does what Faust does with a message whose handler failed; the campaign misses the signals."""
    done = campaign("tests.campaigns.chaos", "--small", "--only", "add_worker", "--plant", "skip_frame")
    assert done.returncode == 1, done.stdout + done.stderr[-3000:]
    assert "acknowledged signals are not there" in done.stdout


@pytest.mark.service("kafka")
@pytest.mark.service("postgresql")
def test_same_answer_in_small_holds() -> None:
    """`serve`, one worker, three workers whose partitions move, and `replay` raise the same warnings."""
    done = campaign("tests.campaigns.same_answer", "--small")
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert done.stdout.rstrip().endswith("HELD")


@pytest.mark.service("kafka")
@pytest.mark.service("postgresql")
def test_same_answer_catches_a_snapshot_that_is_older_than_it_says() -> None:
    """The planted defect lets a worker that takes a partition over lack a part; its warnings differ, or it ends of what it writes twice."""
    done = campaign("tests.campaigns.same_answer", "--small", "--plant", "stale_snapshot")
    assert done.returncode == 1, done.stdout + done.stderr[-3000:]
    assert "  three workers: " in done.stdout


def test_reloads_in_small_hold() -> None:
    """Ten reloads under load, one of them through a kill, leave no hit of a mixed set and lose no state."""
    done = campaign("tests.campaigns.reloads", "--small")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("HELD")


@pytest.mark.service("durable-rules")
@pytest.mark.parametrize(
    ("plant", "said"), [("lacks_ignored", "a program was retired"), ("died_means_nothing", "outcomes differ from number")]
)
def test_inference_catches_what_is_planted(plant: str, said: str) -> None:
    """A translation that forgets what has to be lacking, and a runtime that takes a dead child's silence for an answer."""
    done = campaign("tests.campaigns.inference", "--small", "--plant", plant)
    assert done.returncode == 1, done.stdout + done.stderr
    assert said in done.stdout


def test_reloads_catch_a_mixed_set() -> None:
    """The planted defect runs one pack of the set before; the campaign sees its hits."""
    done = campaign("tests.campaigns.reloads", "--small", "--plant", "mixed_set")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "hits of a set that was not active" in done.stdout


def test_rule_mutation_in_small_holds() -> None:
    """No threshold of five rules can be changed without a failing test in their files."""
    done = campaign("tests.campaigns.rule_mutation", "--small")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("HELD")


def test_rule_mutation_catches_a_rule_whose_tests_were_weakened() -> None:
    """A rule that kept only a test that expects nothing lets changed thresholds live; they are listed."""
    done = campaign("tests.campaigns.rule_mutation", "--small", "--plant", "weak_tests")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "survived: gas-complaint-burst: " in done.stdout
