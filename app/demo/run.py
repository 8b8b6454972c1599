"""`fengsui demo`: one month of the invented city through the real application, in lock-step.

Time advances to the next event only when intake, engine, duty loop and departments are idle, so the same seed gives the same
summary. Everything goes by the public doors: records over HTTP and the watched folder, answers by the public routes.
"""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from app.client import Client
from app.demo import registers
from app.demo.month import DAYS
from app.demo.offices import OFFICES
from app.demo.rigs import PROCESSES, Rigs, outlook_of
from app.demo.schedule import Plan, Send, build
from app.demo.summary import Doors, summarise
from app.demo.wire import PATIENCE, Wire
from app.server import Server
from app.settings import Egress, Settings
from app.wiring import Application
from domain.clock import ManualClock

BEFORE = timedelta(hours=8)  # the registers are imported on the eve
AFTER = timedelta(days=10)  # for answers to the month's last warnings
LEAST_STEP = timedelta(seconds=1)

Progress = Callable[[datetime, int], None]


class Month:
    """One run of one seed."""

    def __init__(self, seed: int, data: Path, *, port: int, progress: Progress, days: int = DAYS) -> None:
        """Write the month's records, or those of its first `days`; nothing is sent yet."""
        self.seed = seed
        self.plan: Plan = build(seed, days=days)
        self.doors = Doors()
        self._progress = progress
        self.clock = ManualClock(self.plan.world.start - BEFORE)
        settings = Settings(
            data=data,
            port=port,
            inbox_seconds=0,
            inbox_settle_seconds=0,
            reload_seconds=0,
            # Over the bound of the setting: nobody waits behind an attempt here, and one given up would make another month.
            egress=Egress.model_construct(allow=("127.0.0.0/8",), attempt_seconds=PATIENCE),
        )
        self.application = Application(settings, clock=self.clock, lockstep=True)
        self.application.duty.at_once = 1
        self.server = Server(self.application)
        self._tokens: dict[str, str] = {}
        self._wire = Wire(self.application.settings.base_url)

    def run(self) -> dict[str, Any]:
        """Play the month and return its summary."""
        began = time.perf_counter()
        with Rigs(self.application.settings.data) as rigs:
            self.application.start()
            self.server.start()
            self._prepare(rigs)
            self._play(rigs)
            summary = summarise(self.application, self.plan, self.doors, rigs.report())
        summary["wall_seconds"] = round(time.perf_counter() - began, 1)
        return summary

    def close(self) -> None:
        """Stop the server and the application."""
        self._wire.close()
        self.server.stop()
        self.application.stop()

    def _prepare(self, rigs: Rigs) -> None:
        """Import the registers, register the departments' endpoints, hand out credentials, start the departments."""
        url, data = self.application.settings.base_url, self.application.settings.data
        admin = Client.for_data(url, data)
        octets = "application/octet-stream"
        admin.call("POST", "/v1/import/objects?name=objects.csv", registers.objects_csv(self.plan.world.city), octets)
        admin.call("POST", "/v1/import/catalogue?name=catalogue.xlsx", registers.catalogue_xlsx(), octets)
        admin.call("POST", "/v1/import/departments?name=departments.yaml", registers.departments_yaml(), octets)
        addresses = rigs.listen(_free_ports(PROCESSES))
        secrets, tokens = {}, {}
        for office in OFFICES:
            body = json.dumps({"url": addresses[office.id]}).encode()
            secrets[office.id] = admin.call("PUT", f"/v1/departments/{office.id}/endpoint", body)["secret"]
            role = {"duty_desk": "duty", "department": "department_lead"}.get(office.role, "department")
            grant = {"name": f"{office.id}-负责人", "role": role, "department": office.id}
            tokens[office.id] = admin.call("POST", "/v1/access", json.dumps(grant).encode())["token"]
        for feed in sorted({send.feed for send in self.plan.sends}):
            grant = {"name": f"feed-{feed}", "role": "feed", "feed": feed}
            self._tokens[feed] = admin.call("POST", "/v1/access", json.dumps(grant).encode())["token"]
        rigs.start(url, secrets, tokens, outlook_of(self.plan.world, self.seed))
        self._settle(rigs)

    def _play(self, rigs: Rigs) -> None:
        """Advance from event to event until the month and its aftermath are over."""
        sends, place = self.plan.sends, 0
        end = self.plan.world.end + AFTER
        due = self._settle(rigs)
        while True:
            told = (self.application.engine.next_wake(), self.application.silence.next_at(), rigs.next_at())
            upcoming = (sends[place].at if place < len(sends) else None, due, *told)
            now = min((moment for moment in upcoming if moment is not None), default=end)
            if now > end:
                return
            self.clock.move_to(max(now, self.clock.now()))
            if due is not None and due <= now:
                rigs.catch_up()
            files = 0
            while place < len(sends) and sends[place].at <= self.clock.now():
                self._send(sends[place])
                files += sends[place].channel == "file"
                place += 1
            if files:
                self.doors.files(self.application.inbox.scan_once(self.clock.now()))
            due = self._settle(rigs)
            self._progress(self.clock.now(), self.doors.records)

    def _send(self, send: Send) -> None:
        if send.channel == "file":
            folder = self.application.settings.data / "inbox" / send.feed
            folder.mkdir(parents=True, exist_ok=True)
            (folder / send.name).write_bytes(send.body)
            return
        headers = {"authorization": f"Bearer {self._tokens[send.feed]}", "content-type": send.content_type}
        self.doors.answer(send.feed, json.loads(self._wire.ask("POST", f"/v1/feeds/{send.feed}/records", send.body, headers)))

    def _settle(self, rigs: Rigs) -> datetime | None:
        """Let everything that is due at this instant happen, stage by stage, until nobody has anything to do.

        Return when the next timer or delivery is due.
        """
        while True:
            due = self.application.settle()
            if not self.application.duty.idle():
                continue  # a store was slow; it is waited for, since what comes of it belongs to this instant
            if not rigs.advance(self.clock.now(), self.application.duty.attempts):
                return due


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def scratch_folder() -> Path:
    """Return a new folder for a run whose data nobody keeps."""
    return Path(tempfile.mkdtemp(prefix="fengsui-demo-"))


def remove(folder: Path) -> None:
    """Delete a run's data."""
    shutil.rmtree(folder)


def counted(names: Iterable[str]) -> dict[str, int]:
    """Return how often each name occurs, sorted."""
    return dict(sorted(Counter(names).items()))
