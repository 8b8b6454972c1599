"""Runs the scripts of a folder one after another, goes on past a failure, and fails if any failed.

A script is a module that can be run (it ends in `if __name__ == "__main__":`); what it prints last is its one line of figures.
"""
# ruff: noqa: INP001  # a script beside the container files, not a package

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path


def scripts(folder: Path) -> list[str]:
    """Return the names of the runnable modules of `folder`, sorted."""
    return sorted(path.stem for path in folder.glob("*.py") if '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8"))


def main(argv: list[str]) -> int:
    """Run what the arguments name; return 0 when all passed, 1 when one failed, 2 when there is nothing of that name."""
    parser = argparse.ArgumentParser(prog="run_scripts", description=__doc__)
    parser.add_argument("folder", type=Path, help="relative to the top of the checkout, e.g. tests/campaigns")
    parser.add_argument("--only", default="", help="one name; without it all of them")
    parser.epilog = "What follows -- is handed to each script."
    own, handed_on = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    given = parser.parse_args(own)
    known = scripts(given.folder)
    chosen = [name for name in known if given.only in ("", name, name.replace("_", "-"))]
    if not chosen:
        sys.stderr.write(f"{given.folder} has no script {given.only!r}; there are: {', '.join(known) or 'none'}\n")
        return 2
    failed = []
    for name in chosen:
        sys.stderr.write(f"== {name}\n")
        module = ".".join((*given.folder.parts, name))
        if subprocess.run([sys.executable, "-m", module, *handed_on], check=False).returncode:  # noqa: S603  # our own modules
            failed.append(name)
    if failed:
        sys.stderr.write(f"fell short: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
