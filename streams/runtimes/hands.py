"""The threads of a worker that touch its partitions: several at once, but each partition by one of them at a time, and in order.

While one waits for the database another one computes: nobody has to know who waits for what.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Generic, TypeVar

MANY: Final = 4  # threads: they share one interpreter, and most of them wait
MOST: Final = 16  # pieces of work that wait; each may hold a frame of two megabytes

Which = TypeVar("Which", bound=Hashable)
Done = TypeVar("Done")
Work = Callable[[], object]


class Hands(Generic[Which]):
    """To be used in one event loop; `failed` is told in a thread of an exception, before anything else becomes of it."""

    def __init__(self, failed: Callable[[BaseException], object], long: Callable[[Which], bool] = lambda _which: False) -> None:
        """Threads are started when they are needed; `long` says of one whether what is done for it may take minutes."""
        self._long = long
        self._pool = ThreadPoolExecutor(MANY, thread_name_prefix="partitions")
        self._failed = failed
        self._open = asyncio.Lock()  # held while something is done alone
        self._taken = asyncio.Event()
        self._waiting: dict[Which, deque[Work]] = defaultdict(deque)
        self._at_work: dict[Which, asyncio.Task[None]] = {}

    async def begin(self, which: Which, work: Work) -> None:
        """Let something be done for one of them after what was begun for it before; return once that waits with few others.

        What waits for one that takes long holds nobody up: who calls has to see to it that it does not become much (`waiting`).
        """
        while self._crowd() >= MOST:
            self._taken.clear()
            await self._taken.wait()
        async with self._open:
            self._add(which, work)

    def begin_if_idle(self, which: Which, work: Work) -> None:
        """As `begin`, but nothing happens where it would have to wait."""
        if which not in self._at_work and not self._open.locked():
            self._add(which, work)

    def waiting(self, which: Which) -> int:
        """Return how many pieces of work wait for one of them."""
        return len(self._waiting.get(which, ()))

    def look_again(self) -> None:
        """Let `begin` look again at who takes long."""
        self._taken.set()

    async def alone(self, work: Callable[[], Done], give_up: Callable[[], object] = lambda: None) -> Done:
        """Do something that concerns all of them once nothing else is done, and while nothing else begins; raises what it raises.

        Who is cancelled before it begins leaves it undone; later `give_up` is called at once, and it is waited for nevertheless.
        """
        async with self._open:
            if self._at_work:
                await asyncio.wait(self._at_work.values())
            return await self._do(work, give_up)

    @property
    def behind(self) -> bool:
        """Whether anything waits for its turn."""
        return self._open.locked() or self._crowd() > 0

    def close(self) -> None:
        """Return when everything that was begun is done."""
        self._pool.shutdown()

    def _crowd(self) -> int:
        return sum(len(works) for which, works in self._waiting.items() if not self._long(which))

    def _add(self, which: Which, work: Work) -> None:
        self._waiting[which].append(work)
        if which not in self._at_work:
            self._at_work[which] = asyncio.create_task(self._work_on(which))

    async def _work_on(self, which: Which) -> None:
        """Do what waits for one of them, piece after piece; nothing more after one that failed."""
        waiting = self._waiting[which]
        try:
            while waiting:
                work = waiting.popleft()
                self._taken.set()
                await self._do(work)
        finally:
            del self._at_work[which], self._waiting[which]

    async def _do(self, work: Callable[[], Done], give_up: Callable[[], object] = lambda: None) -> Done:
        """Do something in a thread; who is cancelled meanwhile waits all the same.

        Faust gives an assignment up when the next one comes. Its thread goes on, and must not meet another one at the same partitions.
        """
        done = self._pool.submit(work)
        done.add_done_callback(self._tell)
        ended, given_up = asyncio.wrap_future(done), None
        while not ended.done():
            try:
                await asyncio.wait([ended])
            except asyncio.CancelledError as error:
                given_up = error
                give_up()
        if given_up is not None:
            raise given_up
        return ended.result()

    def _tell(self, done: Future[Any]) -> None:
        error = done.exception()
        if error is not None:
            self._failed(error)
