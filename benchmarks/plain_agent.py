"""What users would write with Faust alone: one signal a message, a count per object in a Table. `benchmarks.cluster` runs it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import faust


def run() -> None:
    """Take `count` messages, then write the rate into a file."""
    bootstrap, count, told = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    app = faust.App(
        "plain-agent",
        broker=f"kafka://{bootstrap}",
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        store="memory://",
        datadir=told.with_name("faust"),
    )
    source = app.topic("plain", value_serializer="json")
    counts = app.Table("counts", default=int, partitions=4)
    seen, began = 0, 0.0

    @app.agent(source)
    async def take(stream):  # noqa: ANN001, ANN202  # as Faust's handbook writes it
        nonlocal seen, began
        async for signal in stream:
            began = began or time.perf_counter()
            counts[signal["object"]] += signal["severity"]
            seen += 1
            if seen == count:
                told.write_text(str(count / (time.perf_counter() - began)))  # noqa: ASYNC240  # the measuring is over

    faust.Worker(app, loglevel="ERROR", quiet=True).execute_from_commandline()


if __name__ != "__main__":
    raise ImportError("this is run as a program: python -m benchmarks.plain_agent")
run()
