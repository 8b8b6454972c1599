"""The checkout as the architecture tests see it."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]


def pyproject() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))


def packages() -> list[str]:
    """Return the product's top-level packages, as the wheel and import-linter list them."""
    found: list[str] = pyproject()["tool"]["importlinter"]["root_packages"]
    return found


def tracked_files() -> list[Path]:
    """Return the files of the checkout that git tracks or would add, sorted."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={TOP}", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=TOP,
        capture_output=True,
        check=True,
    )
    names = listed.stdout.decode().rstrip("\0").split("\0")
    return sorted(path for path in (TOP / name for name in names) if path.is_file())


def copied_into_the_image() -> set[str]:
    """Return the files and folders of the checkout that the Dockerfile copies."""
    lines = (TOP / "deploy/Dockerfile").read_text(encoding="utf-8").splitlines()
    return {word.rstrip("/") for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]}


def product_modules() -> list[Path]:
    """Return the Python files of the product's packages, sorted."""
    roots = set(packages())
    return [path for path in tracked_files() if path.suffix == ".py" and path.relative_to(TOP).parts[0] in roots]


def module_name(path: Path) -> str:
    """Return the dotted name of a module of the checkout."""
    parts = path.relative_to(TOP).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def copy_of_the_product(target: Path) -> Path:
    """Copy the product's Python files and pyproject.toml to `target` and return it."""
    for path in (*product_modules(), TOP / "pyproject.toml"):
        place = target / path.relative_to(TOP)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    return target
