"""`deploy/install.sh` on a Debian that has nothing but `python3-venv`: what the image's build does, without a container engine."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import TOP, copied_into_the_image, tracked_files
from tests.conftest import Unavailable, must_have

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
FENGSUI = "/opt/fengsui/bin/fengsui"
SERVICE_USER = 10001  # of the image
MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30  # bytes; the root takes a quarter of it
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"  # this machine's: behind a proxy that looks inside, only they let pip through


def _mirror() -> str:
    """Return the mirror that this machine's apt uses for the suite."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    known = [line.split(" ", 2)[2] for line in told.splitlines() if line.startswith(f"{SUITE} main ")]
    return known[0] if known else MIRROR


def _fast_folder(otherwise: Path) -> Path:
    """Return where the root is made: in memory, where dpkg's syncing costs nothing, if there is room and programs may run there."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM or os.statvfs(MEMORY).f_flag & (os.ST_NOEXEC | os.ST_NODEV):
        return otherwise
    return Path(tempfile.mkdtemp(prefix="fengsui-debian-", dir=MEMORY))


@pytest.fixture(scope="module")
def debian(service: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a fresh root with the files that the image's build copies; it goes with the module, and nothing of it is kept."""
    program = service("debootstrap")
    if os.geteuid() != 0:
        reason = str(Unavailable("debootstrap makes devices and changes the root folder: run the tests as root"))
        (pytest.fail if must_have() else pytest.skip)(reason)
    folder = _fast_folder(tmp_path_factory.mktemp("debian"))
    root = folder / "root"
    try:
        _needs_devices(folder)
        _bootstrap(program, root)
        yield root
    finally:
        shutil.rmtree(folder)


def _needs_devices(folder: Path) -> None:
    """Skip where a container forbids its root to make devices: nothing that could be installed helps there."""
    try:
        os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this container's root may not make devices, which debootstrap has to")


def _bootstrap(program: Path, root: Path) -> None:
    """Make a Debian with the sources in /src, and what the network needs."""
    done = subprocess.run(
        [program, "--variant=minbase", "--include=python3-venv", SUITE, root, _mirror()], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for path in tracked_files():
        name = path.relative_to(TOP)
        if any(name.is_relative_to(copied) for copied in copied_into_the_image()):
            target = root / "src" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    for file in ("etc/resolv.conf", AUTHORITIES):
        if Path("/", file).exists():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path("/", file), root / file)


def _inside(root: Path, *command: str, user: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command in the root, with nothing of this machine's environment but where pip finds its authorities."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"}
    environment |= {"PIP_CERT": f"/{AUTHORITIES}"} if (root / AUTHORITIES).exists() else {}
    whole = ["chroot", f"--userspec={user}:{user}", str(root), *command]
    return subprocess.run(whole, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.service("debootstrap")
def test_the_installer_gives_a_fengsui_that_works_on_a_bare_debian(debian: Path) -> None:
    """No compiler, no git, no make: the roles of a cluster are there, rules are sound, and an account without rights can use it."""
    done = _inside(debian, "/src/deploy/install.sh", "/opt/fengsui", "requirements-cluster.lock")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.endswith("installed: /opt/fengsui/bin/fengsui\n")
    assert _inside(debian, "which", "gcc", "git", "make").stdout == ""
    shutil.rmtree(debian / "src")  # nothing of what runs may be the checkout's

    doctor = _inside(debian, FENGSUI, "doctor", "--data", "/tmp/data", user=SERVICE_USER)
    assert "ok    rules: " in doctor.stdout, doctor.stdout + doctor.stderr
    upgraded = _inside(debian, FENGSUI, "db", "status", "--database-url", "postgresql://nobody@127.0.0.1:1/x", user=SERVICE_USER)
    assert "127.0.0.1:1" in upgraded.stderr, "the driver of PostgreSQL is there, and says that nobody answers"
    topics = _inside(debian, FENGSUI, "topics", "check", "--bootstrap", "127.0.0.1:1", user=SERVICE_USER)
    assert topics.returncode == 2
    assert "127.0.0.1:1" in topics.stderr, "so is Kafka's client"
    faust = _inside(debian, "/opt/fengsui/bin/python", "-c", "import streams.runtimes.faust_worker", user=SERVICE_USER)
    assert faust.returncode == 0, faust.stderr

    again = _inside(debian, "/opt/fengsui/bin/python", "-m", "pip", "check")
    assert (again.returncode, again.stdout) == (0, "No broken requirements found.\n")
