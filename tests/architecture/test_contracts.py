"""Imports run one way: the contracts of pyproject.toml hold, and each one fails on an import that it forbids."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import TOP, copy_of_the_product, pyproject

ONE_WAY = "Imports run one way"
NO_IO = "The core does no I/O"
NO_TESTS = "The product does not know its tests"
BLIND_MONTH = "The simulated month does not know the rules"

# (contract, the module that gets the import, the import)
PLANTS = [
    (ONE_WAY, "domain/base.py", "import rules.ruleset"),
    (ONE_WAY, "dispatch/__init__.py", "import streams.pipeline"),
    (ONE_WAY, "dispatch/__init__.py", "import streams.stages"),
    (ONE_WAY, "streams/stages/__init__.py", "import streams.runtimes"),
    (ONE_WAY, "storage/__init__.py", "import connectors.inbound"),
    (ONE_WAY, "connectors/outbound/__init__.py", "import app"),
    (NO_IO, "rules/ruleset.py", "import storage"),
    (NO_IO, "domain/base.py", "import socket"),
    (NO_IO, "dispatch/__init__.py", "import sqlalchemy"),
    (NO_TESTS, "app/__init__.py", "import tests.factories"),
    (BLIND_MONTH, "app/demo/noise.py", "import rules.ruleset"),
    (BLIND_MONTH, "app/demo/month.py", "import models"),
]


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, check=False)


def test_all_contracts_hold() -> None:
    """The checkout keeps its own contracts."""
    done = _lint_imports(TOP)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_contract_has_a_plant() -> None:
    """No contract is vacuously green: each is seen to fail below."""
    assert {contract["name"] for contract in pyproject()["tool"]["importlinter"]["contracts"]} == {plant[0] for plant in PLANTS}


@pytest.mark.parametrize(("contract", "module", "statement"), PLANTS, ids=[f"{module}: {line}" for _, module, line in PLANTS])
def test_a_planted_import_breaks_its_contract(contract: str, module: str, statement: str, tmp_path: Path) -> None:
    """A forbidden import, written into a copy of the product, is found and named."""
    copy = copy_of_the_product(tmp_path)
    place = copy / module
    place.write_text(place.read_text(encoding="utf-8") + f"\n{statement}\n", encoding="utf-8")
    done = _lint_imports(copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in done.stdout
