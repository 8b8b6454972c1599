"""Starts, kills and asks real `fengsui serve` processes; what every campaign over a process needs."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.engine import VARIABLE
from deploy.kafka.local import free_port

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 90.0  # how long a start may take on a machine that does other work too


@dataclass
class Serving:
    """One `serve` (or another role with the same doors) on a data folder and a fixed port, through any number of lives."""

    data: Path
    rules: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    settings: dict[str, str] = field(default_factory=dict)
    role: str = "serve"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, **environment: str) -> None:
        """Start a life; `environment` adds crash points and plants."""
        loopback = {"FENGSUI_EGRESS__ALLOW": '["127.0.0.0/8"]', "FENGSUI_INBOX_SETTLE_SECONDS": "0"}
        settings = {name: value for name, value in os.environ.items() if not name.startswith("FENGSUI_") or name == VARIABLE}
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", *self._command()],
                cwd=ROOT,
                env=settings | loopback | self.settings | environment,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def _command(self) -> list[str]:
        rules = ["--rules", str(self.rules)] if self.role == "serve" else []
        return [self.role, "--data", str(self.data), *rules, "--port", str(self.port)]

    def alive(self) -> bool:
        """Say whether the present life goes on."""
        return self.process is not None and self.process.poll() is None

    def wait_ready(self) -> bool:
        """Wait until it answers `/readyz`; False where it died before."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if not self.alive():
                return False
            try:
                with urllib.request.urlopen(self.url + "/readyz", timeout=2):
                    return True
            except OSError:
                time.sleep(0.02)
        raise TimeoutError(f"{self.url} is not ready after {READY_SECONDS} s; see {self.data}.log")

    def kill(self) -> None:
        """Kill -9, whatever it is doing."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> int:
        """Ask it to end and return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=READY_SECONDS)

    def memory(self) -> int:
        """Return what the present life holds in memory, in MB (10^6 bytes)."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 10**6

    def token(self) -> str:
        """Return the administrator's token."""
        return (self.data / "admin-token").read_text().strip()

    def call(self, method: str, path: str, body: bytes | None = None, *, token: str = "", timeout: float = 10.0, **headers: str) -> Any:
        """Return the decoded answer; raises OSError (HTTPError among them) for everything that is no success."""
        given = {"authorization": f"Bearer {token or self.token()}", "content-type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=given)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                content = response.read()
        except http.client.HTTPException as error:  # killed in the middle of its answer
            raise ConnectionResetError(f"{path}: half an answer: {error}") from error
        return json.loads(content) if content else None

    def refused(self, method: str, path: str, body: bytes | None = None, **options: Any) -> int:
        """Return the status of a call that should be refused; 0 where it was not."""
        try:
            self.call(method, path, body, **options)
        except urllib.error.HTTPError as error:
            return error.code
        return 0
