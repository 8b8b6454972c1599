"""A state as a train of frames: the same wherever it is cut, and refused where it is cut short."""

from __future__ import annotations

import gc
import tracemalloc
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalogue import Catalogue
from domain.errors import StoreCorrupt
from domain.levels import DEFAULT_LEVELS
from domain.objects import Resolution
from domain.packed import PackedState
from rules.ruleset import Window
from streams.pipeline import Pipeline, PipelineSettings
from streams.stages.pieces import framed, frames
from tests.factories import T0
from tests.streams.kit import Story, at_least, indicator, kind_is, rule, ruleset


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=40)), st.integers(1, 50))
def test_frames_come_back_however_the_bytes_are_cut(bodies: list[bytes], size: int) -> None:
    """Empty ones too."""
    train = b"".join(map(framed, bodies))
    assert list(frames(train)) == bodies
    assert list(frames(train[start : start + size] for start in range(0, len(train), size))) == bodies


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_train_that_is_cut_short_is_refused(cut: int) -> None:
    """What is whole before it has been given by then: whoever reads looks for the end."""
    train = framed(b"one") + framed(b"second one")[:-1]
    with pytest.raises(StoreCorrupt, match="cut short"):
        list(frames(train[: len(train) - cut]))


def test_a_state_is_made_and_taken_up_without_the_whole_of_it_beside_it() -> None:
    """Beside a pipeline of a few thousand signals a snapshot takes less than its own size, and so does taking it up beside what stays."""
    rules = ruleset(
        [rule(when=at_least("p.n", 1.0))],
        [indicator(where=kind_is("gas"), window=Window(kind="sliding", length=timedelta(hours=24), exact=True))],
    )
    story = Story(T0, rules)
    for number in range(4_000):
        resolution = Resolution(object_id=f"o-{number % 2_000}", method="id", confidence=1.0)
        story.signal(number / 600, f"s-{number}", resolution=resolution, text="泄漏" * 20)
    tracemalloc.start()
    try:
        packed = PackedState.of(story.pipeline.parts())
        assert tracemalloc.get_traced_memory()[1] < len(packed)
        after = Pipeline(DEFAULT_LEVELS, Catalogue(), lambda _version: rules, {}, PipelineSettings())
        tracemalloc.reset_peak()
        after.restore(packed)
        gc.collect()
        stays, peak = tracemalloc.get_traced_memory()
        assert peak - stays < len(packed)
    finally:
        tracemalloc.stop()
    assert after.snapshot() == b"".join(packed)
