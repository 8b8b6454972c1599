"""The department processes of the demo, as the runner starts and steers them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import msgspec

from app.demo.behaviour import BY_LINK, MANNERS, Office, Outlook
from app.demo.departments import RigConfig
from app.demo.offices import OFFICES
from app.demo.wire import Wire
from app.demo.world import World

PROCESSES = 2


def outlook_of(world: World, seed: int) -> Outlook:
    """Return what an inspector finds who goes and looks: where something is truly wrong."""
    wrong = {thing: list(sectors) for thing, sectors in world.really_wrong.items()}
    for incident in world.incidents:
        wrong.setdefault(incident.region[:9], []).append(incident.sector)
    return Outlook(seed=seed, wrong=wrong)


@dataclass(slots=True)
class _Process:
    """One process: its address, the connection to it, what time it was told, when it acts next."""

    url: str
    wire: Wire
    told: datetime | None = None
    next: datetime | None = None


class Rigs:
    """A few processes that host all offices; the runner tells them the time, and they say when they act next."""

    def __init__(self, folder: Path) -> None:
        """`folder` takes their configuration, secrets included."""
        self._folder = folder
        self._started: list[subprocess.Popen[str]] = []
        self._processes: list[_Process] = []
        self._delivered = 0  # attempts that had been made when the processes were asked last
        self._now: datetime | None = None

    def listen(self, ports: list[int]) -> dict[str, str]:
        """Choose where each office listens: office id → webhook address; the processes start later, with their secrets."""
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        self._processes = [_Process(url, Wire(url)) for url in urls]
        return {office.id: f"{urls[place % len(urls)]}/hooks/{office.id}" for place, office in enumerate(OFFICES)}

    def start(self, api: str, secrets: dict[str, str], tokens: dict[str, str], outlook: Outlook) -> None:
        """Start the processes; `tokens` are for what a signature cannot do."""
        for place, process in enumerate(self._processes):
            offices = tuple(
                Office(
                    id=office.id,
                    secret=secrets[office.id],
                    manner=MANNERS[office.id],
                    token=tokens.get(office.id, ""),
                    by_link=office.id in BY_LINK,
                )
                for office in OFFICES[place :: len(self._processes)]
            )
            config = self._folder / f"departments-{place}.json"
            config.touch(mode=0o600)
            config.write_bytes(msgspec.json.encode(RigConfig(api=api, offices=offices, outlook=outlook)))
            port = process.url.rsplit(":", maxsplit=1)[1]
            command = [sys.executable, "-m", "app.demo.departments", "--port", port, "--config", str(config)]
            self._started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))  # noqa: S603  # our own module
        for place, started in enumerate(self._started):
            assert started.stdout is not None
            if not started.stdout.readline().startswith("listening"):
                raise RuntimeError(f"departments process {place} did not start; it exited with {started.wait()}")

    def advance(self, now: datetime, delivered: int) -> bool:
        """Let all offices do what is due at `now`; return whether one of them did anything.

        `delivered` counts all attempts at deliveries so far: a process that received nothing since it was asked last and plans
        nothing for now has nothing to do and is not asked.
        """
        news, self._delivered = delivered != self._delivered, delivered
        acted = 0
        for process in self._processes:
            if news or (process.next is not None and process.next <= now):
                acted += self._tell(process, now)
        self._now = now
        return acted > 0

    def next_at(self) -> datetime | None:
        """Return when the next office acts, None where nobody plans anything."""
        return min((process.next for process in self._processes if process.next is not None), default=None)

    def catch_up(self) -> None:
        """Tell the processes that were not asked at the last time what time that was: they stamp with it what arrives late."""
        for process in self._processes:
            if self._now is not None and process.told != self._now:
                self._tell(process, self._now)

    def _tell(self, process: _Process, now: datetime) -> int:
        """Say what time it is; return how many steps were due."""
        told = self._ask(process, "POST", "/control/now", json.dumps({"now": now.isoformat()}).encode())
        process.told = now
        process.next = None if told["next"] is None else datetime.fromisoformat(told["next"])
        return int(told["acted"])

    def report(self) -> dict[str, int]:
        """Return all counts of all offices, sorted by name."""
        counts: dict[str, int] = {}
        for process in self._processes:
            counts |= self._ask(process, "GET", "/control/report")
        return dict(sorted(counts.items()))

    def _ask(self, process: _Process, method: str, path: str, body: bytes | None = None) -> Any:
        return json.loads(process.wire.ask(method, path, body, {"content-type": "application/json"}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.wire.close()
        for started in self._started:
            started.terminate()
        for started in self._started:
            started.wait(timeout=10)
