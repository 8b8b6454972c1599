"""Services of the machine that some tests need: installed when root, required with CI=true, else the test is skipped."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import structlog

if "PYTEST_VERSION" in os.environ:  # benchmarks and campaigns import this too, and run what is there
    os.environ.setdefault("FENGSUI_COMPILED", "no")  # what is tested does not depend on what was compiled here some time ago
from app.engine import ENGINE  # before anything else: it decides what later imports find
from storage.database import Database

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

# A traceback with every local variable of an application takes longer to print than its client waits for the answer.
_PLAIN = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _PLAIN])

TOP = Path(__file__).resolve().parents[1]
# Whose files take longest, since their tests wait for processes that they start.
WAITING = tuple(str(TOP / "tests" / area) for area in ("campaigns", "cluster", "demo", "deploy", "docs"))
LAST = 0.75  # of the way through all files, behind which none of these begins: the other processes would be without work


def pytest_report_header() -> str:
    """Say which engine is tested."""
    return f"engine: {'compiled' if ENGINE.compiled else 'python'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what changes the engine while it runs, where it is compiled; deal the files where several processes take them."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items[:] = dealt(items)
    for item in items:
        if ENGINE.compiled and item.get_closest_marker("sources"):
            item.add_marker(pytest.mark.skip(reason="the engine is compiled"))


def dealt(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests, file by file, in the order in which processes take files: those that mostly wait lie evenly among the others.

    While one process waits the next one computes, and what takes long does not come last.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    waiting = [path for path in files if str(path).startswith(WAITING)]
    others = [path for path in files if path not in set(waiting)]
    places = {path: LAST * place / len(waiting) for place, path in enumerate(waiting)}
    places |= {path: (place + 0.5) / len(others) for place, path in enumerate(others)}
    return [item for path in sorted(places, key=places.__getitem__) for item in files[path]]


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """Take back what a command that ran inside a test set: `demo` is silent, and so would be every test after it."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


class Service(NamedTuple):
    """The programs that a test calls and the Debian packages that bring them; the first program is the service's own.

    Of a service with `modules` it is those that are missing; what brings them needs the programs.
    """

    programs: tuple[str, ...]
    packages: tuple[str, ...]
    modules: tuple[str, ...] = ()  # of Python, which `make inference` builds once the packages are there


SERVICES = {
    "prometheus": Service(("prometheus", "promtool"), ("prometheus",)),
    "curl": Service(("curl",), ("curl",)),
    "durable-rules": Service(("gcc",), ("gcc", "libc6-dev", "python3-dev"), ("durable_rules_engine",)),
    "postgresql": Service(("postgres", "initdb"), ("postgresql",)),
    "chromium": Service(("chromium",), ("chromium", "fonts-noto-cjk")),
    "debootstrap": Service(("debootstrap",), ("debootstrap",)),
    "mosquitto": Service(("mosquitto", "mosquitto_sub"), ("mosquitto", "mosquitto-clients")),
    "docker-compose": Service(("docker-compose",), ("docker-compose",)),
    "kafka": Service(("java", "mvn"), ("openjdk-17-jre-headless", "maven")),  # the broker itself comes from Maven Central
}


class Unavailable(Exception):
    """A service is not on this machine and could not be installed; the text names the command that installs it."""


def which(program: str) -> str | None:
    """Return where a program lies; Debian keeps PostgreSQL's servers off the path, one folder per version."""
    servers = sorted(str(folder) for folder in Path("/usr/lib/postgresql").glob("*/bin"))
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *reversed(servers)]))


def _missing(service: Service) -> list[str]:
    if service.modules:
        return [module for module in service.modules if importlib.util.find_spec(module) is None]
    return [program for program in service.programs if which(program) is None]


def _make_inference() -> str:
    """Build durable-rules with whatever compiler is there; return what went wrong, "" for nothing."""
    with Path(tempfile.gettempdir(), "fengsui-test-services.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["make", "--no-print-directory", "inference"], cwd=TOP, capture_output=True, text=True, check=False)
    importlib.invalidate_caches()
    return "" if done.returncode == 0 else f"make inference: {(done.stderr.strip().splitlines() or ['failed'])[-1]}"


def provide(service: Service, *, root: bool, install: Callable[[tuple[str, ...]], str], build: Callable[[], str] = _make_inference) -> Path:
    """Return the path of the service's own program, installing it first when it is missing and `root`.

    `install` is given the packages and returns what went wrong, "" for nothing; `build` makes the modules, and says the same.

    Raises:
        Unavailable: still missing; one line that names the command.
    """
    if _missing(service):
        trouble = install(service.packages) if root else "not root"
        if _missing(service) and service.modules:
            trouble = build()
        if _missing(service):
            command = f"apt-get install --no-install-recommends {' '.join(service.packages)}"
            raise Unavailable(f"{', '.join(_missing(service))} not found ({trouble or 'still missing'}); run as root: {command}")
    return Path(which(service.programs[0]) or "")


def _apt_install(packages: tuple[str, ...]) -> str:
    """Install Debian packages; one test process at a time."""
    with Path(tempfile.gettempdir(), "fengsui-test-services.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["bash", str(TOP / "deploy/services.sh"), *packages], capture_output=True, text=True, check=False)
    lines = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else (lines[-1] if lines else f"exit {done.returncode}")


def must_have() -> bool:
    """Return whether a missing service is a failure: on a CI machine a skipped test would look like a passed one."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def demand(name: str) -> Path:
    """Return the program of service `name`; skip the test where it is missing, fail it with CI=true."""
    if name not in SERVICES:
        pytest.fail(f"unknown service {name!r}; there are: {', '.join(sorted(SERVICES))}", pytrace=False)
    try:
        return provide(SERVICES[name], root=os.geteuid() == 0, install=_apt_install)
    except Unavailable as trouble:
        if must_have():
            pytest.fail(str(trouble), pytrace=False)
        pytest.skip(str(trouble))


@pytest.hookimpl(tryfirst=True)  # before fixtures of any scope, which may start the service
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Provide each service that the test's `service("name")` marks ask for."""
    for mark in item.iter_markers("service"):
        for name in mark.args:
            demand(name)


@pytest.fixture(scope="session")
def service() -> Callable[[str], Path]:
    """Return `service(name) -> path of its program`, which skips or fails the test where there is none."""
    return demand


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Return a running PostgreSQL of this test process, which gives databases of their own: `postgres.fresh()`."""
    programs = demand("postgresql").parent
    from tests.postgres import PostgresServer  # noqa: PLC0415  it brings the driver, which most tests do without

    with PostgresServer(programs) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Give an empty database of each kind: what stores promise, they promise over all of them."""
    if request.param == "memory":
        opened = Database.in_memory()
    elif request.param == "sqlite":
        opened = Database.open(tmp_path / "contract.db")
    else:
        opened = request.getfixturevalue("postgres").open()
    with opened as database:
        yield database
