"""RiskBench in one go: the input, the reference and the product, run by turns on one core, and what came of it.

    fengsui bench riskbench [--signals 2000000] [--rules 20] [--rules 100] [--repeat 3] [--output json]

Every run is a process of its own, measured as a whole: CPU seconds and the greatest memory. A rate is the marginal one, between a run of
a tenth of the signals and one of all of them, so a start does not count; it is a column of its own. Ratios are to the reference in the
same turn, and the median of the turns is shown. `hits` are the committed packs without points, each hit compared one by one with the
reference's; `warnings` the same rules with points, through fusion and raising (`--engine-only`), their hits compared too. On `--states`
signals the last state of every warning is compared with what the Python engine comes to. `slope` is what more rules, indicators and
objects cost. The pack with 60 indicators is compared with an evaluator that looks at all signals again each time.

Exit 1 where a hit or a warning differs. `--plant window` makes one window of the product's rules longer, which must be found.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.riskbench import packs, sixty

TOP: Final = Path(__file__).parents[2]
SLOPE_RULES: Final = 1000
SLOPE_SIGNALS: Final = 1_000_000
SLOPE_INDICATORS: Final = (8, 30, 60)


@dataclass(frozen=True, slots=True)
class Run:
    """One process: CPU seconds and MiB at most."""

    seconds: float
    mib: int


@dataclass(slots=True)
class Side:
    """Runs of one program, small and large."""

    small: list[Run] = field(default_factory=list)
    large: list[Run] = field(default_factory=list)

    def rates(self, signals: int) -> list[float]:
        """Return the marginal signals a second of every turn."""
        more = signals - signals // 10
        return [more / (large.seconds - small.seconds) for small, large in zip(self.small, self.large, strict=True)]


@dataclass(slots=True)
class Result:
    """One line of figures; rates in signals per CPU second, medians of the turns."""

    name: str
    signals: int
    reference: float = 0.0
    product: float = 0.0
    ratio: float = 0.0
    lowest_ratio: float = 0.0
    start_seconds: float = 0.0
    reference_mib: int = 0
    product_mib: int = 0
    hits: int = 0
    identical: bool | None = None
    engine: str = ""
    reached_share: float = 0.0
    warnings: int = 0
    cost: float = 0.0  # of a slope: how many times what its first line takes


class Bench:
    """One benchmark in a folder of its own."""

    def __init__(self, folder: Path, given: argparse.Namespace, progress: Progress) -> None:
        self.folder = folder
        self.given = given
        self.progress = progress
        self.task = progress.add_task("", total=0)
        self._inputs: dict[tuple[int, int], Path] = {}

    def spend(self, steps: int) -> None:
        """Say that so many more processes are to run."""
        self.progress.update(self.task, total=(self.progress.tasks[0].total or 0) + steps)

    def process(self, what: str, *arguments: object) -> Run:
        """Run a module of this checkout to its end."""
        self.progress.update(self.task, description=what)
        log = self.folder / "log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", *map(str, arguments)]
            child = os.posix_spawn(
                sys.executable, command, os.environ | {"PYTHONPATH": str(TOP)},
                file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, output.fileno(), 2)],
            )  # fmt: skip
            _, status, used = os.wait4(child, 0)
        self.progress.advance(self.task)
        if status:
            raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text(encoding='utf-8')[-4000:]}")
        return Run(used.ru_utime + used.ru_stime, used.ru_maxrss // 1024)

    def input(self, signals: int, objects: int = 100_000) -> Path:
        """Return an input, made when it is first asked for."""
        path = self.folder / f"signals-{signals}-{objects}.ndjson"
        if (signals, objects) not in self._inputs:
            self.spend(1)
            self.process(f"generate {signals:,}", "benchmarks.riskbench.generate", path, signals, "--objects", objects)
            self._inputs[signals, objects] = path
        return path

    def pack(self, count: int, points: int = 0) -> Path:
        """Return the folder of a rule set: the committed one where there is one and no defect is planted."""
        found = committed(count, points)
        if found is not None and not self.given.plant:
            return found
        folder = self.folder / f"pack-{count}-{points}"
        packs.write(folder, count, points)
        if self.given.plant:
            file = folder / "riskbench.yaml"
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace("distinct: source, window: 7d", "distinct: source, window: 8d"), encoding="utf-8")
        return folder

    def reference(self, path: Path, rules: int) -> tuple[Run, Path]:
        """Run the reference; return its figures and its hits."""
        hits = self.folder / "reference.txt"
        run = self.process(f"reference, {rules} rules", "benchmarks.riskbench.reference", path, "--rules", rules, "--hits", hits)
        return run, hits

    def product(self, path: Path, folder: Path, *options: str) -> tuple[Run, Path, dict[str, Any]]:
        """Run the product; return its figures, its hits and its summary."""
        hits, out, summary = (self.folder / name for name in ("hits.ndjson", "warnings.ndjson", "summary.json"))
        files = ("--signals", path, "--hits", hits, "--out", out, "--summary", summary)
        run = self.process(f"fengsui replay, {folder.name}", "app.cli", "replay", "--rules", folder, *files, *options)
        return run, hits, json.loads(summary.read_text(encoding="utf-8"))

    def compare(self, name: str, rules: int, points: int, signals: int, repeat: int) -> Result:
        """Run both by turns, small and large, and compare every hit of every run."""
        result = Result(name, signals, identical=True)
        small, large = self.input(signals // 10), self.input(signals)
        folder = self.pack(rules, points)
        mine, theirs = Side(), Side()
        self.spend(4 * repeat)
        for _ in range(repeat):
            for path, own, other in ((small, mine.small, theirs.small), (large, mine.large, theirs.large)):
                run, wanted = self.reference(path, rules)
                other.append(run)
                run, hits, summary = self.product(path, folder, *(("--engine-only",) if points else ()))
                own.append(run)
                result.hits, same = same_hits(wanted, hits)
                result.identical = bool(result.identical and same)
        ratios = [one / other for one, other in zip(mine.rates(signals), theirs.rates(signals), strict=True)]
        result.reference, result.product = (round(statistics.median(side.rates(signals))) for side in (theirs, mine))
        result.ratio, result.lowest_ratio = round(statistics.median(ratios), 2), round(min(ratios), 2)
        more = [large.seconds - small.seconds for small, large in zip(mine.small, mine.large, strict=True)]
        starts = [small.seconds - each / 9 for small, each in zip(mine.small, more, strict=True)]
        result.start_seconds = round(statistics.median(starts), 2)
        result.reference_mib, result.product_mib = max(run.mib for run in theirs.large), max(run.mib for run in mine.large)
        result.engine, result.reached_share = summary["engine"], round(summary["reached"] / summary["signals"], 4)
        result.warnings = summary["warnings"]
        return result

    def states(self, rules: int, signals: int) -> Result:
        """Compare the last state of every warning with what the Python engine comes to."""
        result = Result(f"warnings identical, {rules} rules", signals)
        path, sound = self.input(signals), committed(rules, packs.POINTS)
        if sound is None:
            packs.write(sound := self.folder / f"sound-{rules}", rules, packs.POINTS)
        self.spend(2)
        _, _, summary = self.product(path, self.pack(rules, packs.POINTS), "--engine-only")
        mine = last_states(self.folder / "warnings.ndjson")
        self.product(path, sound, "--engine-only", "--engine", "python")
        result.identical = bool(mine) and mine == last_states(self.folder / "warnings.ndjson")
        result.warnings, result.engine = len(mine), summary["engine"]
        result.reached_share = round(summary["reached"] / summary["signals"], 4)
        return result

    def alone(self, name: str, signals: int, folder: Path, objects: int = 100_000) -> Result:
        """Run the product alone, for a slope."""
        result = Result(name, signals)
        small, large = self.input(signals // 10, objects), self.input(signals, objects)
        side = Side()
        self.spend(2 * self.given.repeat)
        for _ in range(self.given.repeat):
            for path, runs in ((small, side.small), (large, side.large)):
                run, _, summary = self.product(path, folder)
                runs.append(run)
        result.product = round(statistics.median(side.rates(signals)))
        result.product_mib = max(run.mib for run in side.large)
        result.engine, result.reached_share = summary["engine"], round(summary["reached"] / summary["signals"], 4)
        return result

    def sixty(self) -> Result:
        """Compare the pack of 60 indicators with the evaluator that looks at everything again."""
        result = Result("60 indicators, all aggregates and windows", self.given.sixty)
        folder, path = self.folder / "sixty", self.folder / "sixty.ndjson"
        wanted = sixty.write(folder, path, self.given.sixty)
        self.spend(1)
        run, hits, summary = self.product(path, folder)
        given = [json.loads(line) for line in hits.read_text(encoding="utf-8").splitlines()]
        result.hits, result.identical = len(given), [(hit["signal"], hit["object_id"], hit["rule"]) for hit in given] == wanted
        result.product_mib, result.engine = run.mib, summary["engine"]
        return result


def committed(count: int, points: int) -> Path | None:
    """Return the committed folder of a rule set; None where there is none."""
    return {of: folder for folder, of in packs.committed().items()}.get((count, points))


def last_states(path: Path) -> list[dict[str, Any]]:
    """Return warnings as they were written last, whatever the version of the rule set."""
    return [json.loads(line) | {"ruleset": ""} for line in path.read_text(encoding="utf-8").splitlines()]


def same_hits(wanted: Path, hits: Path) -> tuple[int, bool]:
    """Return the number of the product's hits, and whether they are the reference's, one by one and in order."""
    count, same = 0, True
    with wanted.open(encoding="utf-8") as theirs, hits.open(encoding="utf-8") as mine:
        for line in mine:
            count += 1
            hit = json.loads(line)
            same = same and f"{hit['signal']} {hit['object_id']} {int(hit['rule'].removeprefix('rb-'))}\n" == next(theirs, "")
        return count, same and next(theirs, "") == ""


def run(given: argparse.Namespace, folder: Path, progress: Progress) -> dict[str, Any]:
    """Run everything that is asked for."""
    bench = Bench(folder, given, progress)
    bench.spend(1)
    bench.process("compile the kernel", "app.columnar")
    hits = [bench.compare(f"hits, {rules} rules", rules, 0, given.signals, given.repeat) for rules in given.rules]
    size = given.signals if given.warnings is None else given.warnings
    warnings = [bench.compare(f"warnings, {rules} rules", rules, packs.POINTS, size, given.repeat) for rules in given.rules if size]
    states = [bench.states(rules, given.states) for rules in given.rules if given.states]
    slope = slopes(bench, min(given.signals, SLOPE_SIGNALS)) if given.slope else []
    return {
        "hits": [asdict(each) for each in hits],
        "warnings": [asdict(each) for each in warnings],
        "states": [asdict(each) for each in states],
        "slope": [asdict(each) for each in slope],
        "sixty": [asdict(bench.sixty())] if given.sixty else [],
    }


def slopes(bench: Bench, size: int) -> list[Result]:
    """Run the product with more rules, objects and indicators; the cost is to the first line, of indicators to the fewest."""
    found = [bench.alone(f"{rules} rules", size, bench.pack(rules)) for rules in (*bench.given.rules, SLOPE_RULES)]
    found += [bench.alone(f"{objects:,} objects", size, bench.pack(20), objects) for objects in (10_000, 1_000_000)]
    wide = []
    for count in SLOPE_INDICATORS:
        folder = bench.folder / f"indicators-{count}"
        sixty.write_pack(folder, count)
        wide.append(bench.alone(f"{count} indicators of all kinds, {sixty.RULES} rules", size, folder))
    for group in (found, wide):
        for each in group:
            each.cost = round(group[0].product / each.product, 2)
    return found + wide


def show(told: dict[str, Any], console: Console) -> None:
    """Print the figures as tables."""
    table = Table(
        "what", "signals", "reference /s", "fengsui /s", "ratio", "least", "start s", "MiB (ref.)", "engine", "reach Python", "identical"
    )
    for row in (*told["hits"], *told["warnings"]):
        table.add_row(
            row["name"], f"{row['signals']:,}", f"{row['reference']:,.0f}", f"{row['product']:,.0f}", f"{row['ratio']:.2f}x",
            f"{row['lowest_ratio']:.2f}x", f"{row['start_seconds']:.2f}", f"{row['product_mib']} ({row['reference_mib']})", row["engine"],
            f"{row['reached_share']:.2%}", f"{row['hits']:,} hits: {'yes' if row['identical'] else 'NO'}",
        )  # fmt: skip
    console.print(table)
    for row in told["states"]:
        console.print(
            f"{row['name']}: {row['warnings']:,} of {row['signals']:,} signals, last state as on the Python engine: "
            f"{'yes' if row['identical'] else 'NO'} ({row['engine']}, {row['reached_share']:.2%} reach Python)"
        )
    if told["slope"]:
        table = Table("slope", "fengsui /s", "cost", "MiB", "engine")
        for row in told["slope"]:
            table.add_row(
                row["name"], f"{row['product']:,.0f}", f"{row['cost']:.2f}x", str(row["product_mib"]), row["engine"]
            )  # fmt: skip
        console.print(table)
    for row in told["sixty"]:
        console.print(f"{row['name']}: {row['hits']:,} hits, identical: {'yes' if row['identical'] else 'NO'} ({row['engine']})")


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for; 1 where a hit differs."""
    parser = argparse.ArgumentParser(
        prog="fengsui bench riskbench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--signals", type=int, default=2_000_000)
    parser.add_argument("--rules", type=int, action="append")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--warnings", type=int, help="signals of the runs with points, as --signals where not given; 0 leaves them out")
    parser.add_argument("--states", type=int, default=20_000, help="signals whose warnings are compared; 0 leaves this out")
    parser.add_argument("--sixty", type=int, default=1_500, help="signals of the pack with 60 indicators; 0 leaves it out")
    parser.add_argument("--slope", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--output", choices=["table", "json"], default="table")
    parser.add_argument("--plant", choices=["", "window"], default="")
    given = parser.parse_args(argv)
    given.rules = given.rules or [20, 100]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # and so all processes started from here
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    quiet = not sys.stderr.isatty()
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress,
    ):
        told = run(given, Path(folder), progress)
    if given.output == "json":
        print(json.dumps(told, indent=1))
    else:
        show(told, Console(width=None if sys.stdout.isatty() else 200))
    return int(not all(row["identical"] for row in (*told["hits"], *told["warnings"], *told["states"], *told["sixty"])))


if __name__ == "__main__":
    sys.exit(main())
