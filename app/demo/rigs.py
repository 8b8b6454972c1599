"""The department processes of the demo, as the runner starts and steers them."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import msgspec

from app.demo.behaviour import BY_LINK, MANNERS, Office, Outlook
from app.demo.departments import RigConfig
from app.demo.offices import OFFICES
from app.demo.world import World

PROCESSES = 2


def outlook_of(world: World, seed: int) -> Outlook:
    """Return what an inspector finds who goes and looks: where something is truly wrong."""
    wrong = {thing: list(sectors) for thing, sectors in world.really_wrong.items()}
    for incident in world.incidents:
        wrong.setdefault(incident.region[:9], []).append(incident.sector)
    return Outlook(seed=seed, wrong=wrong)


class Rigs:
    """A few processes that host all offices; the runner tells them the time, and they say when they act next."""

    def __init__(self, folder: Path) -> None:
        """`folder` takes their configuration, secrets included."""
        self._folder = folder
        self._processes: list[subprocess.Popen[str]] = []
        self._urls: list[str] = []

    def listen(self, ports: list[int]) -> dict[str, str]:
        """Choose where each office listens: office id → webhook address; the processes start later, with their secrets."""
        self._urls = [f"http://127.0.0.1:{port}" for port in ports]
        return {office.id: f"{self._urls[place % len(ports)]}/hooks/{office.id}" for place, office in enumerate(OFFICES)}

    def start(self, api: str, secrets: dict[str, str], tokens: dict[str, str], outlook: Outlook) -> None:
        """Start the processes; `tokens` are for what a signature cannot do."""
        for place, url in enumerate(self._urls):
            offices = tuple(
                Office(
                    id=office.id,
                    secret=secrets[office.id],
                    manner=MANNERS[office.id],
                    token=tokens.get(office.id, ""),
                    by_link=office.id in BY_LINK,
                )
                for office in OFFICES[place :: len(self._urls)]
            )
            config = self._folder / f"departments-{place}.json"
            config.touch(mode=0o600)
            config.write_bytes(msgspec.json.encode(RigConfig(api=api, offices=offices, outlook=outlook)))
            port = url.rsplit(":", maxsplit=1)[1]
            command = [sys.executable, "-m", "app.demo.departments", "--port", port, "--config", str(config)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own module
            self._processes.append(process)
            assert process.stdout is not None
            if not process.stdout.readline().startswith("listening"):
                raise RuntimeError(f"departments process {place} did not start; it exited with {process.wait()}")

    def advance(self, now: datetime) -> datetime | None:
        """Let all offices do what is due at `now`; return when the next of them acts, None where nobody plans anything."""
        nexts = []
        for url in self._urls:
            told = self._ask(f"{url}/control/now", json.dumps({"now": now.isoformat()}).encode())
            if told["next"] is not None:
                nexts.append(datetime.fromisoformat(told["next"]))
        return min(nexts, default=None)

    def report(self) -> dict[str, int]:
        """Return all counts of all offices, sorted by name."""
        counts: dict[str, int] = {}
        for url in self._urls:
            counts |= self._ask(f"{url}/control/report")
        return dict(sorted(counts.items()))

    def _ask(self, url: str, body: bytes | None = None) -> Any:
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310  # loopback, our own processes
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as response:
            return json.loads(response.read())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(timeout=10)
