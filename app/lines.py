"""The lines that a replay reads: canonical signals, and records of a journal export."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from app.columnar import RECORD, NeedsPipeline
from connectors.inbound.canonical import read_signal
from domain.errors import FileProblems, Problem, SignalRejected
from domain.instants import parse_rfc3339
from domain.messages import both
from domain.records import Record
from domain.signals import Signal

FAR: Final = datetime.fromisoformat("9000-01-01T00:00:00+00:00")  # a replayed signal without a time of receipt is never in the future
_record = msgspec.json.Decoder(Record).decode


def read_line(line: bytes, file: Path, number: int) -> tuple[str, Signal, datetime | None] | Record:
    """Return the feed (the file's name where none is given), signal and time of receipt of a line, or its journal record.

    Raises:
        FileProblems: the line is neither.
    """
    try:
        if line.lstrip().startswith(RECORD):
            return _record(line)
        values = msgspec.json.decode(line)
        feed, received = values.pop("feed", file.stem), values.pop("received_at", None)
        at = parse_rfc3339(received) if received else None
        return feed, read_signal(values, at or FAR), at
    except (msgspec.MsgspecError, SignalRejected, ValueError, AttributeError) as error:
        raise FileProblems([Problem(file=str(file), line=number, column=0, message=str(error))]) from error


def signal_of_line(line: bytes, file: Path, number: int) -> tuple[str, Signal, datetime | None]:
    """Return the feed, signal and time of receipt of a line.

    Raises:
        FileProblems: the line is no signal and no journal record.
        NeedsPipeline: it is a journal record.
    """
    found = read_line(line, file, number)
    if isinstance(found, Record):
        raise NeedsPipeline(both("kernel.records"))
    return found
