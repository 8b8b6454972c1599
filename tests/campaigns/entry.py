"""How every campaign is started and ends: its options, a folder to work in, what fell short line by line, and one line with the verdict."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

SHOWN: Final = 20  # of what fell short

Body = Callable[["Run"], tuple[list[str], str]]


@dataclass(frozen=True, slots=True)
class Campaign:
    """What one campaign is called, and how long it is.

    `counts` is the option that says how many (kills, runs, …), `full` and `small` are its values for a night and for a test; "" for a
    campaign that works through everything there is. `more` are further options: name → arguments of `add_argument`.
    """

    module: str
    about: str
    plants: tuple[str, ...]
    counts: str = ""
    full: int = 0
    small: int = 0
    more: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One run: how many, under which seed, with which planted defect; `folder` is empty, and gone afterwards unless it was named."""

    count: int
    seed: int
    small: bool
    plant: str
    folder: Path
    given: argparse.Namespace


def play(campaign: Campaign, body: Body) -> int:
    """Run a campaign as the command line says; `body` returns what fell short, and the line with the figures. 0 where it held, else 1."""
    parser = argparse.ArgumentParser(prog=f"python -m {campaign.module}", description=campaign.about.splitlines()[0])
    if campaign.counts:
        parser.add_argument(f"--{campaign.counts}", type=int, default=campaign.full)
    parser.add_argument("--seed", type=int, default=1)
    few = f"{campaign.small} {campaign.counts}" if campaign.counts else "a few of all"
    parser.add_argument("--small", action="store_true", help=f"{few}, for a test")
    parser.add_argument("--plant", default="", choices=("", *campaign.plants), help="a planted defect that must make the campaign fail")
    parser.add_argument("--keep", type=Path, help="folder to leave the data in")
    for name, arguments in campaign.more.items():
        parser.add_argument(f"--{name}", **arguments)
    given = parser.parse_args()
    count = campaign.small if given.small else getattr(given, campaign.counts) if campaign.counts else 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        wrong = ["it broke off"]
        try:
            wrong, line = body(Run(count=count, seed=given.seed, small=given.small, plant=given.plant, folder=folder, given=given))
        finally:
            if wrong and not given.plant and not given.keep:
                _keep_logs(folder)
    for what in wrong[:SHOWN]:
        sys.stdout.write(f"  {what}\n")
    if len(wrong) > SHOWN:
        sys.stdout.write(f"  and {len(wrong) - SHOWN} more\n")
    sys.stdout.write(f"{line}: {'HELD' if not wrong else f'FELL SHORT ({len(wrong)})'}\n")
    return int(bool(wrong))


def _keep_logs(folder: Path) -> None:
    """Put the logs of all processes where they stay, and say where: why a run fell short may not come a second time."""
    logs = sorted(log for log in folder.rglob("*.log") if "kafka" not in log.relative_to(folder).parts)  # a broker's data ends so too
    if logs:
        kept = Path(tempfile.mkdtemp(prefix="fengsui-campaign-"))
        for log in logs:
            shutil.copy(log, kept / "-".join(log.relative_to(folder).parts))
        sys.stdout.write(f"  the logs are in {kept}\n")
