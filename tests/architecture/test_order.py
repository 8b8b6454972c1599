"""The order in which several processes take the files of tests."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import LAST, TOP, dealt


def _items(*files: str) -> list[Any]:
    return [SimpleNamespace(path=Path(TOP, file), number=number) for file in files for number in range(3)]


@pytest.mark.parametrize("waiting", [0, 1, 7, 40])
@pytest.mark.parametrize("others", [0, 1, 40])
def test_no_test_is_lost_and_files_stay_whole(waiting: int, others: int) -> None:
    """Each file's tests follow one another as they were, however many there are of either kind."""
    items = _items(*(f"tests/cluster/test_{number}.py" for number in range(waiting)), *(f"rules/r{number}.py" for number in range(others)))
    told = dealt(items)
    assert sorted(map(id, told)) == sorted(map(id, items))
    starts = range(0, len(told), 3)
    assert all(len({item.path for item in told[start : start + 3]}) == 1 for start in starts)
    assert [item.number for item in told] == [0, 1, 2] * (waiting + others)


def test_files_that_wait_lie_among_those_that_compute_and_not_at_the_end() -> None:
    """One in eleven here: never two in a row, the first at once, and behind the last one there is work for the other processes."""
    waiting = (f"tests/{area}/test_{number}.py" for area in ("cluster", "demo") for number in range(5))
    items = _items(*waiting, *(f"rules/r{number}.py" for number in range(100)))
    kinds = [item.path.is_relative_to(TOP / "tests") for item in dealt(items)[::3]]
    assert kinds[0]
    assert not any(one and next_ for one, next_ in itertools.pairwise(kinds))
    assert len(kinds) - kinds[::-1].index(True) <= LAST * len(kinds) + 1
