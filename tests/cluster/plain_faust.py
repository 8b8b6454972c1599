"""A Faust application as its handbook shows one, for the tests that show what it does with a message whose handler fails.

python -m tests.cluster.plain_faust BOOTSTRAP TOPIC FILE: appends what it takes to FILE, and fails at the message `fail`.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable
from pathlib import Path

import faust


def main() -> None:
    """Run the application until it fails or is stopped."""
    bootstrap, topic, file = sys.argv[1:]
    out = Path(file).open("a")  # noqa: SIM115  # until the process ends
    app = faust.App(
        f"plain-{topic}", broker=f"kafka://{bootstrap}", web_enabled=False, topic_disable_leader=True, topic_allow_declare=False,
        consumer_auto_offset_reset="earliest", broker_commit_interval=0.2, store="memory://",
        datadir=Path(file).parent / "faust",
    )  # fmt: skip
    source = app.topic(topic, value_type=bytes, value_serializer="raw")

    async def take(stream: AsyncIterable[bytes]) -> None:
        async for value in stream:
            out.write(value.decode() + "\n")
            out.flush()
            if value == b"fail":
                raise ValueError("the handler failed")

    app.agent(source)(take)
    faust.Worker(app, loglevel="CRITICAL", quiet=True).execute_from_commandline()


if __name__ == "__main__":
    main()
