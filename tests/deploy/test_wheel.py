"""What is installed is complete: modules and the data files that they read."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.architecture.tree import TOP, packages, tracked_files


def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    """Rule packs, mappings, policies, templates and migrations come along with the modules."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=TOP, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("fengsui-*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    expected = {path.relative_to(TOP).as_posix() for path in tracked_files() if path.relative_to(TOP).parts[0] in packages()}
    assert expected - held == set()
    assert not {name for name in held if name.startswith(("tests/", "benchmarks/"))}
