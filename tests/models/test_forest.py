"""The isolation forest over peers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from models.checks import NAMES, peers
from models.forest import LEAST_PEERS, SAMPLE, SEED, TREES, Forest


def _fitted(count: int = 300) -> Forest:
    forest = Forest()
    forest.fit(peers(count), NAMES)
    return forest


def test_isolation_equals_that_of_scikit_learn() -> None:
    """The flattened trees give the isolation that scikit-learn itself computes."""
    forest = _fitted()
    assert forest._trees is not None
    standard = forest._standardise(np.array(peers(), dtype=float))
    reference = IsolationForest(n_estimators=TREES, max_samples=256, random_state=SEED).fit(standard)
    fresh = forest._standardise(np.array(peers(80, seed=11), dtype=float))
    np.testing.assert_allclose(forest._trees.isolation(fresh), -reference.score_samples(fresh), rtol=1e-12)


@pytest.mark.parametrize("count", [LEAST_PEERS, 100, 700, 5000])
def test_the_trees_are_those_of_scikit_learn(count: int) -> None:
    """Every cut of every tree is the one that scikit-learn's own forest makes on the same peers."""
    vectors = peers(count)
    forest = Forest()
    forest.fit(vectors, NAMES)
    trees = forest._trees
    assert trees is not None
    standard = forest._standardise(np.array(vectors, dtype=float))
    reference = IsolationForest(n_estimators=TREES, max_samples=min(SAMPLE, len(vectors)), random_state=SEED).fit(standard)
    for row, own in enumerate(estimator.tree_ for estimator in reference.estimators_):
        inner = own.children_left >= 0
        assert trees.feature[row, : own.node_count][inner].tolist() == own.feature[inner].tolist()
        assert trees.cut[row, : own.node_count][inner].tolist() == own.threshold[inner].tolist()
        assert trees.right[row, : own.node_count][inner].tolist() == own.children_right[inner].tolist()


def test_a_vector_scores_the_same_alone_and_among_others() -> None:
    """Neither the number of vectors nor repetitions nor their order change a score or a reason, to the last bit."""
    forest = _fitted()
    vectors = [[value if value is not None else 3.0 for value in row] for row in peers(700, seed=5)]
    together = forest.score(vectors)
    assert [forest.score([vector])[0] for vector in vectors] == together
    assert forest.score([*vectors, *reversed(vectors)] * 3) == [*together, *reversed(together)] * 3
    assert len({score.value for score in together}) > 100


def test_restored_forest_scores_without_scikit_learn() -> None:
    """A process that only restores and scores never imports scikit-learn."""
    code = """
import sys
from models.forest import Forest
from models.checks import peers
forest = Forest()
forest.restore(sys.stdin.buffer.read())
print(forest.score(peers())[-1].value, "sklearn" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], input=_fitted().snapshot(), capture_output=True, check=True)
    assert done.stdout.split() == [repr(_fitted().score(peers())[-1].value).encode(), b"False"]


def test_reason_names_drivers_with_value_and_median_of_peers() -> None:
    """The reason of the planted outlier gives its fines beside the peers' median and how many peers are like it."""
    score = _fitted().score(peers())[-1]
    assert score.reason.startswith("指标组合少见：近90日罚款 20,000（同类中位数 7")
    assert "；同类中约每 150 个对象出现一个" in score.reason


def test_two_joint_drivers_are_both_named() -> None:
    """An object that is far out in two indicators has both in its reason, at most three in all."""
    odd = [30.0, 15_000.0, 1.0, 2.0]
    reason = _fitted().score([odd])[0].reason
    assert NAMES[0] in reason
    assert NAMES[1] in reason
    assert reason.count("同类中位数") <= 3


def test_missing_indicator_is_not_named_as_driver() -> None:
    """An indicator without a value never drives a score."""
    reason = _fitted().score([[None, 20_000.0, None, 2.0]])[0].reason
    assert NAMES[1] in reason
    assert NAMES[0] not in reason
    assert NAMES[2] not in reason


def test_score_is_the_share_of_peers_less_isolated() -> None:
    """The scores of the peers themselves are their ranks: about one in a hundred is at 0.99 or more."""
    scores = [score.value for score in _fitted(2000).score(peers(2000))]
    assert sum(value >= 0.99 for value in scores) == pytest.approx(20, abs=2)
    assert sum(value >= 0.5 for value in scores) == pytest.approx(1000, abs=10)


def test_beyond_the_most_unusual_peer_scores_still_rise() -> None:
    """Vectors more isolated than every peer score above the most unusual peer, in order of their isolation."""
    forest = _fitted()
    top = max(score.value for score in forest.score(peers()))
    far = [score.value for score in forest.score([[12.0, 21_000.0, 6.0, 2.9], [40.0, 50_000.0, 20.0, 5.0]])]
    assert top < far[0] <= far[1] < 1.0


@pytest.mark.parametrize(("count", "scored"), [(LEAST_PEERS - 1, False), (LEAST_PEERS, True)])
def test_peers_are_needed(count: int, *, scored: bool) -> None:
    """From 64 peers on there are scores; with fewer the reason says how many there are and how many are needed."""
    score = _fitted(count).score(peers())[-1]
    assert (score.value > 0.9) is scored
    assert (score.reason == f"同类对象仅 {count} 个，不足 {LEAST_PEERS} 个，不评分") is not scored


def test_refit_with_too_few_peers_forgets_the_old_ones() -> None:
    """A fit replaces what was learnt before, also when it has too few peers."""
    forest, fresh = _fitted(), Forest()
    for one in (forest, fresh):
        one.fit(peers(5), NAMES[:4])
    assert forest.score(peers())[-1].value == 0.0
    assert forest.snapshot() == fresh.snapshot()


def test_constant_and_empty_columns_do_no_harm() -> None:
    """A column that is the same for all, or missing for all, neither raises nor drives a score."""
    vectors = [[row[1], 1.0, None] for row in peers()]
    forest = Forest()
    forest.fit(vectors, ["罚款", "常数", "缺失"])
    score = forest.score(vectors)[-1]
    assert score.value > 0.99
    assert "常数" not in score.reason
    assert "缺失" not in score.reason


def test_no_names_are_refused() -> None:
    """A fit without indicators is an error that says so."""
    with pytest.raises(ValueError, match="at least one indicator"):
        Forest().fit([], [])
