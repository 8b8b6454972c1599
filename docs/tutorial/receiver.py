"""A department's receiver: verifies the signature of each webhook, drops repeats by `webhook-id`, prints what it is told.

Run it with a port and the file that holds the signing secret: `python receiver.py 9090 shichang.secret`.
"""

# ruff: noqa: INP001, T201  # a script to be read and copied; what it prints is its purpose

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from standardwebhooks import Webhook, WebhookVerificationError

secret = Path(sys.argv[2]).read_text(encoding="utf-8").strip()
known: set[str] = set()  # a real receiver keeps the ids on disk


class Receiver(BaseHTTPRequestHandler):
    """Takes POST requests."""

    def do_POST(self) -> None:
        """Answer 204 for what is ours, a repeat included, and 401 for what is not signed with our secret."""
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            message = Webhook(secret).verify(body, dict(self.headers.items()))
        except (WebhookVerificationError, ValueError):  # ValueError: a header that is no signature at all
            self.send_response(401)
        else:
            self.send_response(204)
            if self.headers["webhook-id"] not in known:
                known.add(self.headers["webhook-id"])
                data = message["data"]
                print(message["type"], data["warning"]["level"], data["message"], *data["legal_actions"], flush=True)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print no line per request."""


HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
