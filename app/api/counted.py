"""Counts what the HTTP side answers: how much, how quickly, how often with an error of ours; nothing of who asked or for what."""

from __future__ import annotations

import time

from app.gate import OPEN_PATHS, AsgiApp, Receive, Scope, Send
from app.metrics import Metrics


def counted(application: AsgiApp, metrics: Metrics) -> AsgiApp:
    """Return `application` with its answers counted; the probes are not: they ask by the second and are no one's request."""

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await application(scope, receive, send)
            return
        began = time.perf_counter()
        status, open_ = 500, True  # the status is what the server says where the application raises

        def count() -> None:
            nonlocal open_
            open_ = False
            metrics.requests.labels(answer=f"{status // 100}xx").inc()
            metrics.request_seconds.observe(time.perf_counter() - began)

        async def sending(message: dict[str, object]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                assert isinstance(message["status"], int)
                status = message["status"]
            elif message["type"] == "http.response.body" and not message.get("more_body") and open_:
                count()  # before the end of the answer is out: whoever has it finds it counted
            await send(message)

        try:
            await application(scope, receive, sending)
        finally:
            if open_:
                count()

    return counting
