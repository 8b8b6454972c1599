"""The commands that a newcomer types: what they print, and how they end."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import TOP, tracked_files

SCRIPTS = ["deploy/install.sh", "deploy/kafka/fetch.sh", "deploy/services.sh", ".ci/run"]


def _run_scripts(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOP / "deploy/run_scripts.py"), "campaigns", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def campaigns(tmp_path: Path) -> Path:
    """Return a folder with a campaign that passes, one that falls short when told to, and a module that is none."""
    folder = tmp_path / "campaigns"
    folder.mkdir()
    (folder / "fine.py").write_text('if 1:\n    pass\nif __name__ == "__main__":\n    print("fine: 3 of 3")\n')
    short = 'import sys\nif __name__ == "__main__":\n    print("short", *sys.argv[1:])\n    sys.exit("--plant" in sys.argv)\n'
    (folder / "short.py").write_text(short)
    (folder / "parts.py").write_text("raise AssertionError('not a campaign')\n")
    return tmp_path


def test_all_campaigns_run_and_pass(campaigns: Path) -> None:
    """Without a name every script of the folder runs, in order of names."""
    done = _run_scripts(campaigns)
    assert (done.returncode, done.stdout) == (0, "fine: 3 of 3\nshort\n")


def test_one_that_falls_short_fails_the_run_after_all_have_run(campaigns: Path) -> None:
    """The exit code says that one failed, the last line which."""
    done = _run_scripts(campaigns, "--", "--plant", "x")
    assert (done.returncode, done.stdout) == (1, "fine: 3 of 3\nshort --plant x\n")
    assert done.stderr.endswith("fell short: short\n")


def test_only_runs_the_one_that_is_named(campaigns: Path) -> None:
    """`make nightly ONLY=fine` runs that campaign alone."""
    assert _run_scripts(campaigns, "--only", "fine", "--").stdout == "fine: 3 of 3\n"
    assert _run_scripts(campaigns, "--only", "short", "--", "--small").stdout == "short --small\n"


def test_a_name_may_be_written_with_hyphens(campaigns: Path) -> None:
    """`make nightly ONLY=rule-mutation` runs rule_mutation.py: a module's name cannot hold a hyphen."""
    (campaigns / "campaigns" / "two_words.py").write_text('import sys\nif __name__ == "__main__":\n    print("two words")\n')
    assert _run_scripts(campaigns, "--only", "two-words", "--").stdout == "two words\n"


def test_a_name_that_does_not_exist_lists_those_that_do(campaigns: Path) -> None:
    """A typo never passes as a green campaign."""
    done = _run_scripts(campaigns, "--only", "kil9")
    assert done.returncode == 2
    assert "there are: fine, short" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_shell_scripts_parse_and_stop_at_the_first_error(script: str) -> None:
    """Each script is valid and says `set -euo pipefail`."""
    subprocess.run(["bash", "-n", TOP / script], check=True)
    assert "\nset -euo pipefail\n" in (TOP / script).read_text()
    assert (TOP / script).stat().st_mode & 0o100, "executable"


def test_all_shell_scripts_are_looked_at() -> None:
    """A new script joins the list above."""
    found = [path for path in tracked_files() if path.read_bytes()[:32].startswith((b"#!/usr/bin/env bash", b"#!/bin/sh", b"#!/bin/bash"))]
    assert sorted(str(path.relative_to(TOP)) for path in found) == sorted(SCRIPTS)


def test_the_installer_names_the_lock_files_that_there_are(tmp_path: Path) -> None:
    """A misspelt lock file ends it before anything is made."""
    target = tmp_path / "fengsui"
    done = subprocess.run([TOP / "deploy/install.sh", target, "requirement.lock"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "requirements-cluster.lock" in done.stderr
    assert not target.exists()


def test_help_lists_every_target() -> None:
    """Whoever types `make` sees all that can be typed."""
    shown = subprocess.run(["make", "help"], cwd=TOP, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^\.PHONY: (\S+)$", (TOP / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"^  make (\S+)", shown, re.MULTILINE) == targets


def test_the_two_commands_of_the_readmes_are_targets() -> None:
    """Both READMEs name `make demo` and `make test`, and each exists."""
    for name in ("README.md", "README.zh-CN.md"):
        assert {"make demo", "make test"} <= set(re.findall(r"^make \w+", (TOP / name).read_text(encoding="utf-8"), re.MULTILINE))
    for target in ("demo", "test"):
        subprocess.run(["make", "--dry-run", target], cwd=TOP, capture_output=True, check=True)


def test_links_between_documents_lead_somewhere() -> None:
    """No relative link in a Markdown file is dead."""
    dead = [
        f"{page.relative_to(TOP)}: {link}"
        for page in tracked_files()
        if page.suffix == ".md"
        for link in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert dead == []


def test_the_run_lock_is_a_part_of_the_cluster_s_and_that_of_the_dev_lock() -> None:
    """What tests run with is what users and the image run with, version by version and hash by hash."""

    def pins(name: str) -> dict[str, frozenset[str]]:
        blocks = re.split(r"^(?=[a-z0-9])", (TOP / name).read_text(), flags=re.MULTILINE)[1:]
        return {block.split(" ", maxsplit=1)[0]: frozenset(re.findall(r"sha256:[0-9a-f]{64}", block)) for block in blocks}

    run, cluster, dev = pins("requirements.lock"), pins("requirements-cluster.lock"), pins("requirements-dev.lock")
    assert run.items() <= cluster.items() <= dev.items()
    assert all(dev.values()), "every package has a hash"
