"""The conformance suite over the registry, and the defects that it must catch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pytest

from domain.ports import Detector, Score, VectorDetector
from models import checks
from models.fast import Fast
from models.forest import Forest
from models.registry import REGISTRY, VECTOR_REGISTRY


@pytest.mark.parametrize("check", checks.SERIES_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", REGISTRY)
def test_series_detectors_conform(name: str, check: Callable[[Callable[[], Detector]], None]) -> None:
    """Every series detector of the registry passes every check."""
    check(REGISTRY[name])


@pytest.mark.parametrize("check", checks.VECTOR_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", VECTOR_REGISTRY)
def test_vector_detectors_conform(name: str, check: Callable[[Callable[[], VectorDetector]], None]) -> None:
    """Every vector detector of the registry passes every check."""
    check(VECTOR_REGISTRY[name])


class _LearnsFirst(Fast):
    def score(self, key: str, at: datetime, values: Sequence[float | None]) -> Score:
        super().score(key, at, values)
        return super().score(key, at, values)


class _OneSeries(Fast):
    def score(self, key: str, at: datetime, values: Sequence[float | None]) -> Score:
        del key
        return super().score("", at, values)


class _Uncalibrated(Fast):
    def score(self, key: str, at: datetime, values: Sequence[float | None]) -> Score:
        score = super().score(key, at, values)
        return msgspec.structs.replace(score, value=score.value**0.5)


class _Unclamped(Fast):
    def score(self, key: str, at: datetime, values: Sequence[float | None]) -> Score:
        score = super().score(key, at, values)
        return msgspec.structs.replace(score, value=score.value * 1.01)


class _Forgetful(Fast):
    def restore(self, state: bytes) -> None:
        super().restore(state)
        for series in self._series.values():
            series.trend = series.level


class _MissingIsZero(Fast):
    def score(self, key: str, at: datetime, values: Sequence[float | None]) -> Score:
        return super().score(key, at, [0.0 if value is None or math.isnan(value) else value for value in values])


class _KnowsTheDate(Fast):
    def score(self, key: str, at: datetime, values: Sequence[float | None]) -> Score:
        value = values[0]
        return super().score(key, at, [value + at.year if value is not None and math.isfinite(value) and at.day > 15 else value])


class _UnitBound(Fast):
    def score(self, key: str, at: datetime, values: Sequence[float | None]) -> Score:
        value = values[0]
        return super().score(key, at, [math.tanh(value / 50.0) if value is not None else value])


class _Hoards(Fast):
    def __init__(self) -> None:
        super().__init__()
        self._hoard = b""

    def score(self, key: str, at: datetime, values: Sequence[float | None]) -> Score:
        self._hoard += b"." if len(self._hoard) < 5000 else b""
        return super().score(key, at, values)

    def snapshot(self, only: Callable[[str], bool] | None = None) -> bytes:
        return super().snapshot(only) + self._hoard


class _Scribbles(Fast):
    def score(self, key: str, at: datetime, values: Sequence[float | None]) -> Score:
        score = super().score(key, at, values)
        if isinstance(values, list):
            values[0] = None
        return score


@pytest.mark.parametrize(
    ("make", "check"),
    [
        (_LearnsFirst, checks.check_scores_first),
        (_OneSeries, checks.check_keys_apart),
        (_Uncalibrated, checks.check_calibrated),
        (_Unclamped, checks.check_range),
        (_Forgetful, checks.check_restart),
        (_MissingIsZero, checks.check_missing),
        (_KnowsTheDate, checks.check_shift_days),
        (_UnitBound, checks.check_location_scale),
        (_Hoards, checks.check_long_run),
        (_Scribbles, checks.check_input_untouched),
    ],
    ids=lambda value: value.__name__,
)
def test_series_suite_catches_a_defect(make: Callable[[], Detector], check: Callable[[Callable[[], Detector]], None]) -> None:
    """A detector with one planted defect fails the check that is about it."""
    with pytest.raises(AssertionError):
        check(make)


class _Blind(Forest):
    def score(self, vectors: Any) -> list[Score]:
        return [msgspec.structs.replace(score, value=0.5) for score in super().score(vectors)]


class _BatchBound(Forest):
    def score(self, vectors: Any) -> list[Score]:
        return [msgspec.structs.replace(score, value=score.value / len(vectors)) for score in super().score(vectors)]


class _OverlooksThePlainest(Forest):
    def unusual(self, vectors: Any, names: Any, *, learnt: int, above: float) -> list[tuple[int, Score]]:
        return super().unusual(vectors, names, learnt=learnt, above=above)[1:]


class _TakesAnyWidth(Forest):
    def score(self, vectors: Any) -> list[Score]:
        return super().score([(list(vector) + [None] * 4)[:4] for vector in vectors])


@pytest.mark.parametrize(
    ("make", "check"),
    [
        (_Blind, checks.check_vectors_outlier),
        (_Blind, checks.check_vectors_missing),
        (_Blind, checks.check_vectors_few),
        (_BatchBound, checks.check_vectors_alone),
        (_TakesAnyWidth, checks.check_vectors_width),
        (_OverlooksThePlainest, checks.check_vectors_unusual),
    ],
    ids=lambda value: value.__name__,
)
def test_vector_suite_catches_a_defect(make: Callable[[], VectorDetector], check: Callable[[Callable[[], VectorDetector]], None]) -> None:
    """A vector detector with one planted defect fails the check that is about it."""
    with pytest.raises(AssertionError):
        check(make)
