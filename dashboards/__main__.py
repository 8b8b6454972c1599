"""`python -m dashboards build --out DIR`: write the dashboards and the alert rules."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dashboards.build import DEFAULT_CONSOLE, write
from domain.messages import text


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, print their paths one a line, and return the exit status: 0, or 2 for a wrong call."""
    parser = argparse.ArgumentParser(prog="python -m dashboards", description=text("dashboards.about"))
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help=text("dashboards.about"), description=text("dashboards.about"))
    build.add_argument("--out", type=Path, required=True, metavar="DIR", help=text("dashboards.out"))
    build.add_argument("--console", default=DEFAULT_CONSOLE, metavar="URL", help=text("dashboards.console", default=DEFAULT_CONSOLE))
    given = parser.parse_args(arguments)
    try:
        written = write(given.out, given.console)
    except ValueError as error:
        build.error(str(error))
    except OSError as error:
        build.error(text("dashboards.not_written", folder=given.out, reason=error.strerror))
    sys.stdout.writelines(f"{path}\n" for path in written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
