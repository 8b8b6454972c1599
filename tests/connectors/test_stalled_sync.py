"""While the disk has not synced, nobody is answered and no file is moved: the promise of both doors, with the real journal."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.inbound.edge import Edge
from connectors.inbound.folder import Inbox
from connectors.inbound.mapping_load import load_folder
from domain.clock import ManualClock
from storage.identity import Identity
from storage.intake import Appender
from storage.journal import Journal
from storage.registry import MemoryObjectLookup
from tests.factories import T0

KEY = b"a key of the tests alone"
PENALTY = (
    "行政相对人名称,行政处罚决定书文号,罚款金额（万元）,处罚决定日期,处罚机关统一社会信用代码\n"
    "某某燃气有限公司,罚1,3,2026-02-01,11610100MB2A00000X\n"
)
SIGNAL = b'{"id":"1","source":"complaint","kind":"gas.leak","occurred_at":"2026-02-01T08:00:00+08:00"}'
LONG_ENOUGH = 0.3  # seconds in which a door that did not wait would have answered


class StallingDisk:
    """A sync that stands still until it is let go; the bytes are written all the same."""

    def __init__(self) -> None:
        self.stalls = False
        self.reached = threading.Event()
        self.free = threading.Event()

    def __call__(self, descriptor: int) -> None:
        if self.stalls:
            self.reached.set()
            assert self.free.wait(10), "nobody let the disk go"
        os.fdatasync(descriptor)


@pytest.fixture
def disk() -> StallingDisk:
    """Return a disk that stalls."""
    return StallingDisk()


@pytest.fixture
def edge(tmp_path: Path, disk: StallingDisk) -> Iterator[Edge]:
    """Return the edge over a real journal on that disk."""
    (tmp_path / "journal").mkdir()
    with Journal.open(tmp_path / "journal", sync=disk) as journal:
        disk.stalls = True  # opening the journal syncs too
        appender = Appender(journal, Identity.in_memory(journal), ManualClock(T0))
        yield Edge(appender, MemoryObjectLookup(), KEY)
        disk.free.set()
        appender.close()


def test_no_answer_before_the_sync_returns(edge: Edge, disk: StallingDisk) -> None:
    """A sender waits as long as the disk does, and is answered once it is done."""
    answers: list[int] = []
    sender = threading.Thread(target=lambda: answers.append(edge.take_signals("signals", SIGNAL, "application/json", T0).accepted))
    sender.start()
    assert disk.reached.wait(5)
    sender.join(LONG_ENOUGH)
    assert answers == []

    disk.free.set()
    sender.join(5)
    assert answers == [1]


def test_no_rename_before_the_sync_returns(edge: Edge, disk: StallingDisk, tmp_path: Path) -> None:
    """The file lies where it came in until its records are on the disk."""
    file = tmp_path / "inbox" / "penalties" / "a.csv"
    file.parent.mkdir(parents=True)
    file.write_text(PENALTY, encoding="gb18030")
    inbox = Inbox(tmp_path / "inbox", load_folder(), edge, ManualClock(T0), settle=timedelta(0))
    scan = threading.Thread(target=inbox.scan)
    scan.start()
    assert disk.reached.wait(5)
    scan.join(LONG_ENOUGH)
    assert (file.exists(), (file.parent / "done").exists()) == (True, False)

    disk.free.set()
    scan.join(5)
    assert (file.exists(), (file.parent / "done" / "a.csv").exists()) == (False, True)
