"""The core does no I/O, not even through what it imports.

import-linter sees third-party packages as leaves, so each package of the core is imported whole in a fresh process. `models`
(scikit-learn) and `streams.kernel` (numba) are exempt. `zoneinfo`, which `domain.instants` needs, pulls in none of the four and needs no
exemption.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import TOP, copy_of_the_product, module_name, product_modules

PURE = ("domain", "rules", "streams.stages", "streams.pipeline", "dispatch")
IMPURE = ("asyncio", "socket", "sqlite3", "subprocess")

_PROBE = """
import importlib, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
    found = sorted(set(sys.argv[1].split(",")) & set(sys.modules))
    if found:
        sys.exit(f"{name} pulls in {', '.join(found)}")
"""


def _modules_of(package: str) -> list[str]:
    names = [module_name(path) for path in product_modules()]
    return [name for name in names if name == package or name.startswith(f"{package}.")]


def _import_in_a_fresh_process(names: list[str], folder: Path) -> str:
    """Import `names` with `folder` first on the path; return what went wrong, "" for nothing."""
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, ",".join(IMPURE), *names],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr


@pytest.mark.parametrize("package", PURE)
def test_a_package_of_the_core_pulls_in_no_io(package: str) -> None:
    """After importing all of it, no module that does I/O is loaded."""
    names = _modules_of(package)
    assert names, f"{package} is gone; mend PURE"
    assert _import_in_a_fresh_process(names, TOP) == ""


def test_an_impure_import_is_found_where_it_hides_in_a_library(tmp_path: Path) -> None:
    """A third-party package that opens sockets is caught through the module that imports it."""
    copy = copy_of_the_product(tmp_path)
    with (copy / "domain/base.py").open("a", encoding="utf-8") as module:
        module.write("\nimport aiohttp\n")
    assert "domain.base pulls in asyncio, socket" in _import_in_a_fresh_process(["domain.base"], copy)
