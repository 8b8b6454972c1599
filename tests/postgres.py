"""A PostgreSQL of the tests' own: the real server, in a folder that goes with it, on a free port and a Unix socket."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psycopg

from app.clock import SystemClock
from deploy.kafka.local import free_port
from domain.ports import Clock
from storage.database import Database
from storage.postgres import PostgresDatabase

ACCOUNT = "postgres"  # as which the server runs where the tests run as root, whom it refuses
OWNER = "fengsui"
PASSWORD = "p-w:of/the@owner"
TEMPLATE = "fengsui_template"
# Durable against the death of the server, which tests cause; not against that of the machine, which they cannot.
FAST = ("fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=150", "autovacuum=off", "log_min_messages=fatal")
DURABLE = ("shared_buffers=256MB", "max_connections=150", "max_wal_size=2GB", "log_min_messages=fatal")  # as it comes: synced


class PostgresServer:
    """A server from `with` to its end; it dies with the process that started it."""

    def __init__(self, programs: Path, settings: Sequence[str] = FAST) -> None:
        """Use the programs of that folder."""
        self._programs = programs
        self._settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="fengsui-pg-"))
        self.port = free_port()
        self._numbers = itertools.count(1)
        self._server: subprocess.Popen[bytes] | None = None
        self._as: list[str] = []
        if os.geteuid() == 0:
            account = pwd.getpwnam(ACCOUNT)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._as = ["--reuid", ACCOUNT, "--regid", ACCOUNT, "--init-groups"]

    def __enter__(self) -> Self:
        secret = self.folder / "secret"
        secret.write_text("admin\n")
        secret.chmod(0o644)
        made = [str(self._programs / "initdb"), "--pgdata", str(self.folder / "data"), "--username", "admin", "--pwfile", str(secret)]
        options = ["--auth-local", "trust", "--auth-host", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        done = subprocess.run(self._command(*made, *options), capture_output=True, text=True, check=False, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        self.start()
        with self.admin() as admin:
            admin.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
            admin.execute(f"CREATE DATABASE {TEMPLATE} OWNER {OWNER}")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = (*self._settings, f"port={self.port}", f"unix_socket_directories={self.folder}", "listen_addresses=127.0.0.1")
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data"), *(f"--{each}" for each in settings)]
        self._server = subprocess.Popen(self._command(*command), cwd=self.folder, stderr=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + 120
        while True:
            try:
                self.admin().close()
            except psycopg.OperationalError:
                assert self._server.poll() is None, "the server ended at once"
                assert time.monotonic() < end, "the server does not answer"
                time.sleep(0.05)
            else:
                return

    def stop(self, how: int = signal.SIGQUIT) -> None:
        """End the server: SIGQUIT at once, as after a crash; SIGINT in order."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(timeout=120)
            self._server = None

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._server is not None, "it does not run"
        return self._server.pid

    def admin(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Return a connection of the superuser, every statement its own transaction."""
        return psycopg.connect(host=str(self.folder), port=self.port, user="admin", dbname=database, autocommit=True, connect_timeout=60)

    def url(self, database: str, *, user: str = OWNER) -> str:
        """Return the address of a database over the socket, where nobody asks for a password."""
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"

    def tcp_url(self, database: str, *, user: str = OWNER) -> str:
        """Return the address of a database over TCP, where a password is needed."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def empty(self, *, options: str = "") -> str:
        """Make a database without tables and return its name."""
        name = f"t{os.getpid()}_{next(self._numbers)}"
        with self.admin() as admin:
            admin.execute(f"CREATE DATABASE {name} OWNER {OWNER} {options}".encode())
        return name

    def fresh(self) -> str:
        """Make a database with the tables of this version and return its address."""
        PostgresDatabase.upgrade(self.url(TEMPLATE))
        return self.url(self.empty(options=f"TEMPLATE {TEMPLATE}"))

    def open(self, clock: Clock | None = None) -> Database:
        """Return a fresh database, opened."""
        return PostgresDatabase.connect(self.fresh(), clock or SystemClock())

    def _command(self, *command: str) -> list[str]:
        return ["setpriv", *self._as, "--pdeathsig", "QUIT", *command]
