"""The command line's way to a running `serve`: commands that write go through it, since it alone holds the data folder."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

from domain.errors import ServerSaid
from domain.messages import both


class Client:
    """Calls one server with one token."""

    def __init__(self, url: str, token: str) -> None:
        """`url` is the server's address, `token` a bearer token."""
        self._url = url.rstrip("/")
        self._token = token

    @staticmethod
    def answers(url: str) -> bool:
        """Tell whether a server answers there."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url.rstrip("/") + "/healthz", timeout=5) as response:
                return bool(response.status == HTTPStatus.OK)
        except (OSError, ValueError):
            return False

    @classmethod
    def for_data(cls, url: str, data: Path) -> Client:
        """Return a client with the administrator's token of a data folder on this machine.

        Raises:
            ServerSaid: there is no token in that folder.
        """
        secret = data / "admin-token"
        if not secret.is_file():
            raise ServerSaid(both("client.no_token", path=secret))
        return cls(url, secret.read_text().strip())

    def call(self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json") -> Any:
        """Return the decoded JSON answer.

        Raises:
            ServerSaid: no server, or an answer that is no success, with the server's own words.
        """
        headers = {"authorization": f"Bearer {self._token}", "content-type": content_type}
        if not self._url.startswith(("http://", "https://")):
            raise ServerSaid(both("client.no_address", given=self._url))
        request = urllib.request.Request(self._url + path, data=body, method=method, headers=headers)  # noqa: S310  # the operator names it
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=120) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            raise ServerSaid(_words(error.read(), error.code)) from error
        except OSError as error:
            raise ServerSaid(both("client.no_answer", url=self._url, error=error)) from error


def _words(body: bytes, status: int) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return f"HTTP {status}: {body[:300].decode(errors='replace')}"
    detail = str(document.get("detail", document))
    problems = [str(problem.get("message", problem)) for problem in document.get("problems", []) if isinstance(problem, dict)]
    lines = [f"HTTP {status}: {detail}"]
    lines += ["  " + problem for problem in problems[:20] if problem not in detail]  # what is wrong with a file is in the detail already
    return "\n".join(lines)
