"""A department's receiver for campaigns: verifies signatures, remembers ids, and signs for what it gets."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

from app.clock import SystemClock


class Receiver:
    """An HTTP server on loopback; each department posts to `/<id>`. It answers every assigned task with `receive`, until that is taken."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.ids: set[str] = set()
        self.warnings: set[str] = set()  # that messages are about
        self.complaints: list[str] = []
        self.answered: dict[tuple[str, str], int] = {}
        self.api = ""
        self._todo: deque[tuple[str, dict[str, Any]]] = deque()
        self._ending = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = outer.take(self.path.strip("/"), dict(self.headers), body)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing on standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._threads = [
            threading.Thread(target=self._server.serve_forever, daemon=True),
            threading.Thread(target=self._answer, daemon=True),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, department: str, headers: dict[str, str], body: bytes) -> int:
        """Take one webhook; repeats are welcome, they have the same id."""
        try:
            message = Webhook(self.secrets[department]).verify(body, headers)
        except (WebhookVerificationError, KeyError) as error:
            self.complaints.append(f"{department}: {error!r}")
            return 401
        new = headers["webhook-id"] not in self.ids
        self.ids.add(headers["webhook-id"])
        self.warnings.add(message["data"]["warning"]["id"])
        if new and message["type"] == "task.assigned" and message["data"]["task"]["department"] == department:
            self._todo.append((department, message["data"]))
        return 204

    def _answer(self) -> None:
        while not self._ending.is_set():
            if not self._todo:
                time.sleep(0.02)
                continue
            department, data = self._todo[0]
            status = self._receive(department, data)
            if status not in {0, 503}:
                self.answered[data["warning"]["id"], data["task"]["id"]] = status
                self._todo.popleft()

    def _receive(self, department: str, data: dict[str, Any]) -> int:
        task = data["task"]["id"]
        body = json.dumps({"action": "receive", "task": task, "operator": "张三"}).encode()
        at = SystemClock().now()
        headers = {
            "content-type": "application/json",
            "idempotency-key": f"receive-{task}",
            "webhook-id": f"receive-{task}",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(self.secrets[department]).sign(f"receive-{task}", at, body.decode()),
        }
        url = f"{self.api}/v1/warnings/{data['warning']['id']}/responses"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers), timeout=5) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            if error.code in {401, 422}:
                # not yet pushed: the webhook came before its row said so
                time.sleep(0.05)
                return 0
            return error.code
        except OSError:
            time.sleep(0.05)
            return 0
