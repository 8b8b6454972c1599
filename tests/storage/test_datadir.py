"""The data folder: private, complete, and used by one process at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from domain.errors import StoreUnavailable
from storage.datadir import DataDir, file_system


def test_a_new_folder_is_made_private(tmp_path: Path) -> None:
    """Every folder of the layout exists with mode 0700, whatever the umask; an existing open one is closed to others."""
    (tmp_path / "data").mkdir(mode=0o755)
    with DataDir(tmp_path / "data") as data:
        for folder in (data.paths.top, data.paths.journal, data.paths.raw, data.paths.snapshots):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_second_user_is_refused_by_name(tmp_path: Path) -> None:
    """While one process holds the folder another one is told which; afterwards it may have it."""
    code = "import sys; from pathlib import Path; from storage.datadir import DataDir; DataDir(Path(sys.argv[1])); print('mine')"
    command = [sys.executable, "-c", code, str(tmp_path)]
    top = Path(__file__).resolve().parents[2]
    with DataDir(tmp_path):
        refused = subprocess.run(command, capture_output=True, text=True, check=False, cwd=top)
        assert refused.returncode != 0
        assert f"in use by process {os.getpid()}" in refused.stderr
        with pytest.raises(StoreUnavailable, match="--data"):
            DataDir(tmp_path)
    assert subprocess.run(command, capture_output=True, text=True, check=False, cwd=top).stdout == "mine\n"
    DataDir(tmp_path).close()


def test_a_folder_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    """A file in the way is named."""
    (tmp_path / "data").write_text("no folder")
    with pytest.raises(StoreUnavailable, match="data"):
        DataDir(tmp_path / "data")


MOUNTS = "/dev/vda / ext4 rw 0 0\nhost:/x /srv/my\\040data nfs4 rw 0 0\n/dev/vdb /srv/my\\040data/fast xfs rw 0 0\n"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/a", "ext4"),
        ("/srv/my data", "nfs4"),
        ("/srv/my data/a/b", "nfs4"),
        ("/srv/my data/fast/a", "xfs"),
        ("/srv/my database", "ext4"),
    ],
)
def test_the_nearest_mount_decides(path: str, kind: str) -> None:
    """The file system of a folder is that of the longest mount point above it."""
    assert file_system(Path(path), MOUNTS) == kind
