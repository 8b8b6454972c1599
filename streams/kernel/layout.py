"""The kernel's memory: every array, its fields and what they mean. All of it is plain numbers, so state is bytes.

Instants are microseconds since 1970-01-01T00:00Z. A *position* is the number of a bucket on a window's scale (of a day, a month, or of a
microsecond where the window keeps times). A *level* stands for a value: 0 unknown, 1 below all thresholds that rules name, 1 + k when k of
them are reached; a rule's truth follows from levels alone. A *class* is everything that a signal's own fields decide: which indicators it
feeds and which tests of the signal hold.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Structs = NDArray[np.void]

UNSEEN: Final = -(1 << 62)  # the clock of what has seen nothing
FAR: Final = 1 << 62  # an instant that never comes

# Aggregates, as numbers in `Tables.aggregate`.
COUNT, SUM, MEAN, MIN, MAX, DISTINCT, LAST = range(7)

# Scales of windows, in `Tables.scale`: even widths from a shifted epoch, months in Shanghai, or no window at all.
EVEN, MONTHS, ALWAYS = range(3)

# Who runs an object, in `OBJECT.owner`. One that was handed over keeps its cells and its chain of rows as they were.
KERNEL, PYTHON = range(2)

OBJECT: Final = np.dtype([
    ("clock", np.int64),  # newest instant among its signals
    ("expires", np.int64),  # first clock at which a signal falls out of a window that follows the clock
    ("first", np.int32),  # its cells are cells[first : first + cells]
    ("cells", np.uint16),
    ("room", np.uint8),  # class of the room that its cells have: 0 is none, k holds 2^(k - 1)
    ("owner", np.uint8),
    ("signal_class", np.int32),  # of its newest signal by arrival
    ("row", np.int32),  # the row of that signal
    ("watch", np.int32),  # the place of its watch, -1 for none
    ("spare", np.int32),  # to a whole number of words, so that no byte of a snapshot is left to chance
])  # fmt: skip
"""One regulated object; its place in the array is its slot."""

WATCH: Final = np.dtype([
    ("last", np.int64),  # when its newest signal was received
    ("before", np.int64),  # ... and the one before
    ("rise_at", np.float64),  # its score below this raises no level
    ("first", np.int32),  # its parts are parts[first : first + parts]
    ("parts", np.uint16),
    ("room", np.uint8),  # class of the room that its parts have, as of an object's cells
    ("ask", np.uint8),  # ATTEND: fusion looks at its next signal at which a rule with points is true; OPEN: and at every new contribution
])  # fmt: skip
"""An object to whose score rules have contributed: its fusion is Python's business, when that has to look at it is the kernel's."""

ATTEND, OPEN = 1, 2  # in `WATCH.ask`

PART: Final = np.dtype([
    ("since", np.int64),  # when the object's last signal at which the rule was true was received; means nothing while it is true
    ("rule", np.int32),
    ("true", np.int32),  # 1: the rule is true at the object's newest signal
    ("handle", np.int64),  # of the signal at which it began to contribute
    ("note", np.int64),  # where the words are that say how the object stood then; -1 once Python knows
])  # fmt: skip
"""A rule with points that was true for an object under watch.

As long as no level can be reached Python is not told of one. Its note is what Python will ask for: how many cells the object had, and of
each its indicator and how many signals it had taken (in one word, the latter above), and its value.
"""

CELL: Final = np.dtype([
    ("clock", np.int64),  # position that the window was moved to last
    ("high", np.int64),  # sum and mean: the exact total, see `fixed`
    ("low", np.uint64),
    ("value", np.float64),  # the aggregate now; NaN: unknown
    ("words", np.int32),  # where its words are
    ("count", np.int32),  # count: signals inside; mean: numbers inside; of lists: entries; distinct: values
    ("seen", np.int32),  # signals ever taken in
    ("mask", np.uint32),  # occupied buckets by age, bit 23 the newest; of lists: entries at the front that have left
    ("indicator", np.uint16),
    ("level", np.uint16),
    ("room", np.uint8),  # class of the room that its words have, as of cells
    ("spare", np.uint8),  # to a whole number of words, so that no byte of a snapshot is left to chance
    ("spare_too", np.uint16),
])  # fmt: skip
"""One indicator of one object, made when the first signal counts in it. What its words hold depends on aggregate and window:

    count, bucketed     per occupied bucket, oldest first: number of signals
    sum                 ... high and low of the bucket's total
    mean                ... high, low, number of numbers
    min, max            ... the bucket's extreme
    distinct            per value: its code, the newest position at which it was seen
    last                the newest value: its instant, its value
    count, exact        per signal, oldest first: its instant
    others, exact       ... its instant, its value
"""

ROW: Final = np.dtype([
    ("at", np.int64),  # occurred_at
    ("handle", np.int64),  # where the runtime finds the whole signal again
    ("mark", np.uint64),  # hash of (feed, id)
    ("before", np.int32),  # the object's row before this one, -1 for none
    ("slot", np.int32),
    ("clock", np.int64),  # the object's clock after the signal
    ("signal_class", np.int32),
    ("spare", np.int32),  # as above
])  # fmt: skip
"""One signal that may still be inside a window, chained by object: what an object's state can be made again from."""

# Places in `State.counters`.
CELLS_TOP, WORDS_TOP, ROWS_TOP, SWEEP_AT, LARGEST_ROOM, WATCHES_TOP, PARTS_TOP = range(7)  # the largest room ever taken, in words
FREE_CELLS: Final = 8  # heads of the lists of free rooms for cells, by class
FREE_WORDS: Final = 40  # ... for words
FREE_PARTS: Final = 80  # ... for parts
COUNTERS: Final = 100


class State(NamedTuple):
    """Everything that a snapshot holds, but for names and classes."""

    objects: Structs  # OBJECT by slot
    cells: Structs  # CELL
    words: Ints
    reals: Floats  # the same memory as `words`
    rows: Structs  # ROW, in order of arrival
    by_mark: NDArray[np.int32]  # open addressing: row by mark, -1 for free; its length is a power of two
    watches: Structs  # WATCH
    parts: Structs  # PART
    counters: Ints


class Tables(NamedTuple):
    """A rule set. Variables are its indicators; "of v" arrays go by indicator, "of c" by conjunct (one alternative of a rule)."""

    aggregate: NDArray[np.int8]  # of v
    exact: NDArray[np.bool_]  # of v: the window keeps times
    own: NDArray[np.bool_]  # of v: its clock is its own newest signal, not the object's
    scale: NDArray[np.int8]  # of v
    width: Ints  # of v: of one position, in microseconds
    shift: Ints  # of v: added to an instant before it is divided
    span: Ints  # of v: positions that the window holds
    column: NDArray[np.int16]  # of v: the number or code that it aggregates, -1 for a count
    threshold_at: NDArray[np.int32]  # of v, and one more: its thresholds are thresholds[threshold_at[v] : threshold_at[v + 1]]
    thresholds: Floats  # rising within a variable
    untouched: NDArray[np.uint16]  # of v: level where nothing was ever seen
    position_at: NDArray[np.int32]  # of v, and one more: its levels are positions position_at[v] + level in the lists below
    tests_at: NDArray[np.int32]  # of c, and one more: the signal tests that must hold
    tests: NDArray[np.int32]
    bounds_at: NDArray[np.int32]  # of c, and one more: the levels that must be within bounds
    bound_of: NDArray[np.int32]  # variable
    lowest: NDArray[np.int32]
    highest: NDArray[np.int32]
    rule_of: NDArray[np.int32]  # of c
    conjuncts_at: NDArray[np.int32]  # of rules, and one more
    leaves: NDArray[np.bool_]  # of rules: where it becomes true the object goes over to the Python engine
    points: Floats  # of rules: what it adds to a score while it is true; 0 for one that only hits
    half_life: Ints  # of rules: in which its points halve, in microseconds; 0 where they stay
    gone: Ints  # of rules: the age from which on its points may count as nothing
    floor: NDArray[np.bool_]  # of rules: it holds up a level as well
    soonest: int  # the least of `gone`
    pointed: int  # rules that add to a score
    first_rise: float  # the score at which the lowest level begins
    rise_at: NDArray[np.int32]  # by position: conjuncts whose lower bound is this level
    rise: NDArray[np.int32]
    fall_at: NDArray[np.int32]  # by position: conjuncts whose upper bound is this level
    fall: NDArray[np.int32]
    anchor_at: NDArray[np.int32]  # by test and position: conjuncts with this test whose most demanding lower bound is this level
    anchor: NDArray[np.int32]
    loose_at: NDArray[np.int32]  # by test: conjuncts with this test that demand no level above the untouched
    loose: NDArray[np.int32]
    initial: NDArray[np.int32]  # conjuncts without a test that hold where nothing was seen


class Classes(NamedTuple):
    """What the classes of signals decide."""

    fed_at: NDArray[np.int32]  # of class, and one more: it feeds fed[fed_at[class] : fed_at[class + 1]]
    fed: NDArray[np.int32]  # indicators, in the order of the rule set
    holds: NDArray[np.uint64]  # [class, test / 64]: one bit a test


class Batch(NamedTuple):
    """Signals as columns, in order of arrival."""

    slot: NDArray[np.int32]
    at: Ints  # occurred_at
    now: Ints  # received, never falling
    signal_class: NDArray[np.int32]
    mark: NDArray[np.uint64]
    handle: Ints
    numbers: Floats  # [column, signal]; NaN: not given
    codes: Ints  # [column, signal]; -1: not given


class Found(NamedTuple):
    """What came of a batch, by number of the signal in it."""

    hit_signal: NDArray[np.int32]
    hit_rule: NDArray[np.int32]
    reached: NDArray[np.int32]  # signals that the Python engine must take, rising
    told: Ints  # how many hits, how many reached, and from which signal to go on


class Scratch(NamedTuple):
    """Room that the kernel works in; it means nothing between two signals."""

    now: NDArray[np.int32]  # level by variable
    before: NDArray[np.int32]  # level before the signal
    changed: NDArray[np.int32]  # variables whose level changed
    was: NDArray[np.int32]  # their level before, by place in `changed`
    candidates: NDArray[np.uint64]  # one bit a rule
