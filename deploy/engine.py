"""Compiles the engine (`make engine`): a minute, with gcc and Python's headers; nothing where it is compiled already.

What it writes, `streams/compiled`, is found by `app.engine` and becomes part of a wheel that is built of the checkout afterwards.

python -m deploy.engine                    ends with 1 where there is no compiler
python -m deploy.engine --where-possible   says so, and ends with 0
"""

from __future__ import annotations

import argparse
import shutil
import sys
import sysconfig
import tempfile
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Final

import msgspec

from app.engine import FOLDER, MANIFEST, TOP, Manifest, digest, hindrance
from domain.messages import both

PACKAGES: Final = ("domain", "models", "rules", "streams")  # whose types are read: what is compiled relies on them
NOT_READ: Final = ("streams/kernel", "streams/runtimes", "streams/ruletest.py")
LEFT_OUT: Final = frozenset(
    {"__init__", "backfill", "inquiry", "pieces", "settings", "snapshot"}
)  # they define records: msgspec makes those, not mypyc
OTHERS: Final = ("rules/evaluation.py", "rules/facts.py", "streams/pipeline.py")
GROUP: Final = "fengsui_engine"
SETTINGS: Final = """\
[mypy]
python_version = 3.11
strict = True

[mypy-re2.*,sklearn.*,durable.*]
ignore_missing_imports = True
"""


def sources() -> list[str]:
    """Return the files that are compiled, from the top of the checkout."""
    stages = [f"streams/stages/{path.name}" for path in sorted((TOP / "streams" / "stages").glob("*.py")) if path.stem not in LEFT_OUT]
    return [*stages, *OTHERS]


def read() -> list[str]:
    """Return the files that the machine code depends on, from the top of the checkout: those that are compiled, and those they name."""
    paths = (path.relative_to(TOP).as_posix() for package in PACKAGES for path in (TOP / package).rglob("*.py"))
    return sorted(path for path in paths if not path.startswith(NOT_READ))


def has_compiler() -> bool:
    """Tell whether there is what a module in C needs."""
    compiler = str(sysconfig.get_config_var("CC")).split()[0]
    return shutil.which(compiler) is not None and Path(sysconfig.get_paths()["include"], "Python.h").is_file()


def build(folder: Path = FOLDER) -> None:
    """Compile into `folder`, which is replaced.

    Raises:
        SystemExit: the sources are not typed as they must be, or the compiler fails; what is wrong was printed.
    """
    from mypyc.build import mypycify  # noqa: PLC0415  # with what builds it only; it takes a second to import
    from setuptools import setup  # noqa: PLC0415  # likewise

    found = sources()
    with tempfile.TemporaryDirectory() as scratch:
        top = Path(scratch)
        for package in PACKAGES:
            shutil.copytree(TOP / package, top / package, ignore=shutil.ignore_patterns("__pycache__", "compiled"))
        (top / "mypy.ini").write_text(SETTINGS, encoding="utf-8")
        said = StringIO()  # notes on what mypyc makes of single lines: of interest where it fails
        try:
            with chdir(top), redirect_stdout(said):
                extensions = mypycify(["--config-file", "mypy.ini", *found], group_name=GROUP, opt_level="2")
                setup(name=GROUP, packages=[], ext_modules=extensions, script_args=["--quiet", "build_ext", "--build-lib", "out"])
        except SystemExit:
            print(said.getvalue(), file=sys.stderr)  # noqa: T201  # a command
            raise
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        modules = {}
        for file in sorted((top / "out").rglob("*.so")):
            name = ".".join((*file.parent.relative_to(top / "out").parts, file.name.split(".", 1)[0]))
            modules[name] = f"{name}.so"
            shutil.copyfile(file, folder / modules[name])
    manifest = Manifest(abi=sysconfig.get_config_var("SOABI"), modules=modules, sources={name: digest(TOP / name) for name in read()})
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))


def main() -> int:
    """Run the command line."""
    asked = argparse.ArgumentParser(description="compile the engine")
    asked.add_argument("--where-possible", action="store_true", help="without a compiler say so, and end with 0")
    where_possible = asked.parse_args().where_possible
    if not hindrance(FOLDER, TOP):
        return 0
    if not has_compiler():
        print(both("engine.no_compiler"), file=sys.stderr)  # noqa: T201  # a command
        return 0 if where_possible else 1
    print(both("engine.compiling", modules=len(sources())), file=sys.stderr, flush=True)  # noqa: T201  # a command
    build()
    return 0


if __name__ == "__main__":
    sys.exit(main())
