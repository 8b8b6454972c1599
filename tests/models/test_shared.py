"""One comparison of peers for several pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.ports import Score
from models.checks import NAMES, peers
from models.forest import Forest
from models.shared import KEPT, SharedComparison


class _Counting(Forest):
    """Counts the questions that it was asked."""

    asked = 0

    def unusual(self, vectors: Sequence[Sequence[float | None]], names: Sequence[str], **kw: Any) -> list[tuple[int, Score]]:
        _Counting.asked += 1
        return super().unusual(vectors, names, **kw)


def test_the_same_question_is_worked_out_once() -> None:
    """A second pipeline that asks the same takes over the answer; another value, bound, title or order is another question."""
    _Counting.asked = 0
    shared = SharedComparison(_Counting)
    vectors = peers(300)
    asked: dict[str, Any] = {"names": NAMES, "learnt": 4096, "above": 0.9}
    first = shared.unusual(vectors, **asked)
    assert first == Forest().unusual(vectors, **asked) != []
    assert shared.unusual([tuple(row) for row in vectors], **asked) == first
    assert _Counting.asked == 1
    others = [(vectors[::-1], {}), (vectors, {"above": 0.5}), (vectors, {"names": [*NAMES[:-1], "别的"]}), (vectors[:-1], {})]
    for changed, more in others:
        assert shared.unusual(changed, **{**asked, **more}) == Forest().unusual(changed, **{**asked, **more})
    assert _Counting.asked == 1 + len(others)


def test_what_was_asked_long_ago_is_forgotten() -> None:
    """Only the last questions are remembered: a backtest over years does not grow."""
    _Counting.asked = 0
    shared = SharedComparison(_Counting)
    for number in range(KEPT + 1):
        shared.unusual([[float(number)]], ["x"], learnt=10, above=0.9)
    shared.unusual([[float(KEPT)]], ["x"], learnt=10, above=0.9)
    assert _Counting.asked == KEPT + 1
    shared.unusual([[0.0]], ["x"], learnt=10, above=0.9)
    assert _Counting.asked == KEPT + 2
