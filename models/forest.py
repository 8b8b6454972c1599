"""The isolation forest (孤立森林) over regulated objects' indicator vectors: which object is unlike its peers?

F. T. Liu, K. M. Ting, Z.-H. Zhou, "Isolation forest", ICDM 2008: a point that few random cuts set apart from a sample is unusual.
scikit-learn grows the trees, those of its own IsolationForest; they are then kept as plain arrays, so that scoring and restoring need
neither scikit-learn nor its version.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from domain.messages import text
from domain.ports import Score
from models.words import number, share

TREES: Final = 100
SAMPLE: Final = 256  # peers per tree
SEED: Final = 20260301
LEAST_PEERS: Final = 64
EXPLAINED: Final = 0.95  # scores from here on name their drivers
WALKED: Final = 1 << 16  # steps through trees taken at once: more would not fit the processor's cache
DRIVERS: Final = 3  # at most so many
DRIVER_SHARE: Final = 0.25  # and only those with this share of the strongest one's part
VERSION: Final = 1
VALUE_MAX: Final = 1e300
_EULER: Final = 0.5772156649015329
_SEED_MAX: Final = 2**31 - 1

Vectors = Sequence[Sequence[float | None]]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Trees:
    """All trees, one row per tree, one column per node; node 0 is the root, a leaf points to itself.

    `depth` is the path length of a leaf: cuts from the root, and those expected to part the peers left in it.
    """

    feature: npt.NDArray[np.int32]
    cut: Floats
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    depth: Floats
    height: int
    expected: float  # path length in a tree over one sample

    def isolation(self, matrix: Floats) -> Floats:
        """Return the anomaly score 2^(-mean depth / expected depth) of each row, in (0, 1)."""
        single = matrix.astype(np.float32)  # the cuts were made between single-precision values
        count, nodes = self.cut.shape
        rows = np.arange(len(single)) * single.shape[1]
        roots = np.arange(count)[:, np.newaxis] * nodes
        below = np.stack((self.left + roots, self.right + roots), axis=-1).ravel()  # both children of each node, numbered through all trees
        total = np.zeros(len(single))
        together = max(1, WALKED // max(1, len(single)))
        for first in range(0, count, together):
            node = roots[first : first + together].repeat(len(single), axis=1)
            for _ in range(self.height):
                value = single.take(self.feature.take(node) + rows)
                node = below.take(2 * node + (value > self.cut.take(node)))
            for depths in self.depth.take(node):  # one after the other: a sum rounds the same however many rows there are
                total += depths
        mean: Floats = total / count
        return np.exp2(-mean / self.expected)


class Forest:
    """An isolation forest over peers; a `domain.ports.VectorDetector`.

    The score is the share of the fitted peers whose isolation is lower, continued beyond the most unusual peer by an exponential tail.
    Fewer than 64 peers give no score: 0, and the reason says so. Missing values (None, NaN, infinite) stand at the peers' median and so
    count as unremarkable; an object without any value scores 0. Each column may be in any unit: scores do not change when a column x
    becomes a·x + b (a > 0). The same peers in the same order give the same forest. State: about 1 MB of trees and 8 bytes per peer.
    """

    def __init__(self) -> None:
        """Start unfitted."""
        self._names: tuple[str, ...] = ()
        self._peers = 0
        self._centre: Floats = np.zeros(0)
        self._spread: Floats = np.zeros(0)
        self._trees: _Trees | None = None
        self._ranks: Floats = np.zeros(0)  # isolation of the fitted peers, ascending
        self._decay = 1.0  # mean excess of the most isolated peers

    def fit(self, vectors: Vectors, names: Sequence[str]) -> None:
        """Learn what is usual among `vectors`; `names` are the indicators' titles as the reason shows them.

        Raises:
            ValueError: a vector is not as long as `names`, or there are no names.
        """
        if not names:
            raise ValueError("detector forest needs at least one indicator name")
        self._learn(*_matrix(vectors, len(names)), names)

    def _learn(self, distinct: Floats, place: list[int], names: Sequence[str]) -> Floats:
        """Learn from the rows of `distinct` at `place`; return the isolation of `distinct`, nothing of it for too few peers."""
        self._names, self._peers, self._trees = tuple(names), len(place), None
        self._centre, self._spread, self._ranks = np.zeros(0), np.zeros(0), np.zeros(0)
        self._decay = 1.0
        if self._peers < LEAST_PEERS:
            return np.zeros(0)
        self._centre, self._spread = _standard(distinct[place])
        standard = self._standardise(distinct)
        trees = self._trees = _grow(standard[place])
        isolation = trees.isolation(standard)
        self._ranks = np.sort(isolation[place])
        top = self._ranks[-max(8, self._peers // 50) :]
        self._decay = max(float(np.mean(top - top[0])), 1e-6)
        return isolation

    def unusual(self, vectors: Vectors, names: Sequence[str], *, learnt: int, above: float) -> list[tuple[int, Score]]:
        """Return the vectors that score above `above`, by their place, as `fit` and `score` would; what nobody asks for is not worked out.

        A peer is never rarer than those that are exactly like it. Where all are learnt from and not even a vector that is there least often
        could score so high, no tree is grown: among less than 199 peers none is one in a hundred.

        Raises:
            ValueError: a vector is not as long as `names`, or there are no names.
        """
        step = -(-len(vectors) // learnt)
        if step > 1:
            self.fit(vectors[::step], names)
            return [(place, score) for place, score in enumerate(self.score(vectors)) if score.value > above]
        matrix, place = _matrix(vectors, len(names))
        peers = len(place)
        if not peers or 1.0 - min(float(np.bincount(place).min()) + 1.0, peers) / (peers + 1.0) <= above:
            return []
        isolation = self._learn(matrix, place, names)
        if self._trees is None:
            return []
        survival = self._survival(isolation)
        survival[np.isnan(matrix).all(axis=1)] = 1.0
        odd = np.flatnonzero(1.0 - survival > above)
        scores = dict(zip(odd.tolist(), self._told(self._trees, matrix[odd], isolation[odd], survival[odd]), strict=True))
        return [(turn, scores[row]) for turn, row in enumerate(place) if row in scores]

    def score(self, vectors: Vectors) -> list[Score]:
        """Return one score per vector; those of 0.95 and more name the two or three indicators behind them."""
        trees = self._trees
        if trees is None:
            none = Score(value=0.0, reason=text("model.forest.too_few", count=self._peers, least=LEAST_PEERS))
            return [none] * len(vectors)
        matrix, place = _matrix(vectors, len(self._names))
        if not len(matrix):
            return []
        isolation = trees.isolation(self._standardise(matrix))
        survival = self._survival(isolation)
        survival[np.isnan(matrix).all(axis=1)] = 1.0
        scores = self._told(trees, matrix, isolation, survival)
        return [scores[row] for row in place]

    def _told(self, trees: _Trees, matrix: Floats, isolation: Floats, survival: Floats) -> list[Score]:
        """Return the scores of rows with their reasons."""
        odd = np.flatnonzero(survival <= 1.0 - EXPLAINED)
        standard = self._standardise(matrix[odd])
        reasons = dict(zip(odd.tolist(), self._reasons(trees, matrix[odd], standard, isolation[odd], survival[odd]), strict=True))
        return [Score(value=1.0 - float(tail), reason=reasons.get(row) or self._plain(matrix[row])) for row, tail in enumerate(survival)]

    def snapshot(self) -> bytes:
        """Return the whole state; the same fit gives the same bytes."""
        trees = self._trees
        arrays = () if trees is None else (trees.feature, trees.cut, trees.left, trees.right, trees.depth)
        kept = _Snapshot(
            detector="forest",
            version=VERSION,
            names=self._names,
            peers=self._peers,
            height=trees.height if trees else 0,
            expected=trees.expected if trees else 0.0,
            decay=self._decay,
            nodes=trees.cut.shape[1] if trees else 0,
            arrays=[_bytes(array) for array in (self._centre, self._spread, self._ranks, *arrays)],
        )
        return msgspec.msgpack.encode(kept)

    def restore(self, state: bytes) -> None:
        """Take up the state of a snapshot.

        Raises:
            ValueError: `state` is not a snapshot of this detector in this version.
        """
        try:
            kept = msgspec.msgpack.decode(state, type=_Snapshot)
        except msgspec.MsgspecError as error:
            raise ValueError(f"not a snapshot of detector forest: {error}; take one with Forest.snapshot()") from error
        if (kept.detector, kept.version) != ("forest", VERSION):
            raise ValueError(f"snapshot of {kept.detector} version {kept.version}; forest version {VERSION} is needed: fit again instead")
        centre, spread, ranks = (np.frombuffer(part, "<f8") for part in kept.arrays[:3])
        trees = None
        if kept.nodes:
            feature, cut, left, right, depth = kept.arrays[3:]
            trees = _Trees(
                feature=np.frombuffer(feature, "<i4").reshape(-1, kept.nodes),
                cut=np.frombuffer(cut, "<f8").reshape(-1, kept.nodes),
                left=np.frombuffer(left, "<i4").reshape(-1, kept.nodes),
                right=np.frombuffer(right, "<i4").reshape(-1, kept.nodes),
                depth=np.frombuffer(depth, "<f8").reshape(-1, kept.nodes),
                height=kept.height,
                expected=kept.expected,
            )
        self._names, self._peers, self._decay = kept.names, kept.peers, kept.decay
        self._centre, self._spread, self._ranks, self._trees = centre, spread, ranks, trees

    def _standardise(self, matrix: Floats) -> Floats:
        """Return the columns around their peers' median in units of their spread, missing values at the median."""
        scaled: Floats = (matrix - self._centre) / self._spread
        return np.where(np.isnan(scaled), 0.0, np.clip(scaled, -1e9, 1e9))

    def _survival(self, isolation: Floats) -> Floats:
        """Return the share of peers at least as isolated, in (0, 1]: ranks, and an exponential tail beyond the last."""
        peers = len(self._ranks)
        above = peers - np.searchsorted(self._ranks, isolation, side="left")
        beyond = np.maximum(isolation - self._ranks[-1], 0.0)
        tail: Floats = np.where(above > 0, np.minimum(above + 1.0, peers), np.exp(-beyond / self._decay)) / (peers + 1.0)
        return np.where(above >= peers, 1.0, tail)

    def _plain(self, vector: Floats) -> str:
        """Return the reason of a score that is not explained."""
        return text("model.missing") if np.isnan(vector).all() else text("model.forest.usual")

    def _reasons(self, trees: _Trees, matrix: Floats, standard: Floats, isolation: Floats, survival: Floats) -> list[str]:
        """Return for each unusual vector the indicators whose return to the median would lower its isolation most."""
        parts = np.zeros_like(standard)
        row, column = np.nonzero(standard)  # a value at the median has no part in it
        mended = standard[row]
        mended[np.arange(len(row)), column] = 0.0
        parts[row, column] = isolation[row] - trees.isolation(mended)
        reasons = []
        for values, part, tail in zip(matrix, parts, survival, strict=True):
            order = np.argsort(-part, kind="stable")[:DRIVERS]
            strongest = part[order[0]]
            drivers = [
                self._driver(int(column), values) for column in order if part[column] >= DRIVER_SHARE * strongest and part[column] > 0
            ]
            reasons.append(text("model.forest.odd", drivers="、".join(drivers), odds=share(float(tail))) if drivers else "")
        return reasons

    def _driver(self, column: int, values: Floats) -> str:
        """Name one indicator with its value and its peers' median; a missing value is never a driver."""
        return text(
            "model.forest.driver", name=self._names[column], value=number(float(values[column])), peers=number(float(self._centre[column]))
        )


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot's bytes: little-endian arrays (centre, spread, ranks, then those of the trees)."""

    detector: str
    version: int
    names: tuple[str, ...]
    peers: int
    height: int
    expected: float
    decay: float
    nodes: int
    arrays: list[bytes]


def _matrix(vectors: Vectors, width: int) -> tuple[Floats, list[int]]:
    """Return the distinct vectors as rows, NaN for missing, and the row of each vector; ValueError when one is not `width` long.

    Objects are alike far more often than not: among some hundred with counts of rare events there are a few dozen distinct vectors.
    """
    rows: dict[tuple[float | None, ...], int] = {}
    place = []
    for turn, vector in enumerate(vectors):
        if len(vector) != width:
            raise ValueError(f"vector {turn} has {len(vector)} values; the detector's indicators are {width}")
        place.append(rows.setdefault(tuple(vector), len(rows)))
    matrix = np.array(list(rows), dtype=np.float64).reshape(-1, width)  # None becomes NaN
    matrix[np.abs(matrix) >= VALUE_MAX] = np.nan
    return matrix, place


def _standard(matrix: Floats) -> tuple[Floats, Floats]:
    """Return each column's median and mean absolute deviation from it (1 for a constant column), over the values present."""
    centre, spread = np.zeros(matrix.shape[1]), np.ones(matrix.shape[1])
    for column in range(matrix.shape[1]):
        values = matrix[:, column]
        values = values[~np.isnan(values)]
        if len(values):
            centre[column] = np.median(values)
            deviation = float(np.mean(np.abs(values - centre[column])))
            if deviation > 1e-12 * abs(centre[column]):
                spread[column] = deviation
    return centre, spread


def _grow(standard: Floats) -> _Trees:
    """Grow the forest that scikit-learn's IsolationForest grows, and flatten it.

    The trees are its extra-trees, on the samples and (meaningless) targets that it would draw. Its own loop makes, checks and copies an
    estimator per tree, which takes five times as long as growing them.
    """
    import sklearn  # noqa: PLC0415  # half a second to import; only fitting needs it
    from sklearn.tree import ExtraTreeRegressor  # noqa: PLC0415  # as above
    from sklearn.utils.random import sample_without_replacement  # noqa: PLC0415  # as above

    peers, width = standard.shape
    single = standard.astype(np.float32)
    sample = min(SAMPLE, peers)
    targets = np.random.RandomState(SEED).random_sample((peers,))
    seeds = np.random.RandomState(SEED).randint(_SEED_MAX, size=TREES)
    drawn = np.random.RandomState()
    grown = []
    with sklearn.config_context(skip_parameter_validation=True, assume_finite=True):
        for seed in seeds:
            drawn.seed(seed)
            own = drawn.randint(_SEED_MAX)
            drawn.seed(seed)
            sample_without_replacement(width, width, random_state=drawn)  # the columns are drawn first, and all of them
            chosen = np.sort(sample_without_replacement(peers, sample, random_state=drawn))
            drawn.seed(own)
            tree = ExtraTreeRegressor(max_features=1, max_depth=math.ceil(math.log2(sample)), random_state=drawn)
            grown.append(tree.fit(single[chosen], targets[chosen], check_input=False).tree_)
    return _flattened(grown, sample)


def _flattened(grown: Sequence[Any], sample: int) -> _Trees:
    """Return scikit-learn's trees over `sample` peers each as arrays."""
    nodes = max(tree.node_count for tree in grown)
    feature, left, right = (np.zeros((len(grown), nodes), dtype=np.int32) for _ in range(3))
    cut, depth = np.zeros((len(grown), nodes)), np.zeros((len(grown), nodes))
    expected = np.array([_expected_depth(count) for count in range(sample + 1)])
    height = 0
    for row, tree in enumerate(grown):
        leaf, own = tree.children_left < 0, np.arange(tree.node_count)
        left[row, : len(own)] = np.where(leaf, own, tree.children_left)
        right[row, : len(own)] = np.where(leaf, own, tree.children_right)
        feature[row, : len(own)] = np.where(leaf, 0, tree.feature)
        cut[row, : len(own)] = np.where(leaf, 0.0, tree.threshold)
        level = tree.compute_node_depths() - 1
        depth[row, : len(own)] = np.where(leaf, level + expected[tree.n_node_samples], 0.0)
        height = max(height, int(level.max()))
    return _Trees(feature=feature, cut=cut, left=left, right=right, depth=depth, height=height, expected=_expected_depth(sample))


def _expected_depth(count: int) -> float:
    """Return the average path length of an unsuccessful search in a binary tree over `count` points (equation 1 of the paper)."""
    if count <= 1:
        return 0.0
    if count == 2:
        return 1.0
    return 2.0 * (math.log(count - 1.0) + _EULER) - 2.0 * (count - 1.0) / count


def _bytes(array: npt.NDArray[np.float64] | npt.NDArray[np.int32]) -> bytes:
    """Return an array's numbers as little-endian bytes."""
    return array.astype("<i4" if array.dtype == np.int32 else "<f8").tobytes()
