"""Campaign `rule-mutation`: change each threshold, parameter, window and score of each shipped rule; its own tests must notice.

    python -m tests.campaigns.rule_mutation [--rules ID,ID | --pack NAME] [--small] [--plant weak_tests]

A rule whose tests pass with another threshold is a rule that anybody may break unseen. One change at a time; survivors are listed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from models.registry import REGISTRY
from rules.load import check
from streams.ruletest import run_cases
from tests.campaigns.entry import Campaign, Run, play
from tests.campaigns.mutants import PACKS, Doc, Mutant, alone, mutants, packs, written

SMALL = ("gas-complaint-burst", "food-three-penalties", "wages-complaint-burst", "drug-cold-store-lost", "joint-listed-and-clued")
PLANTED = "gas-complaint-burst"


def passes(texts: Mapping[str, str], rule: str) -> bool | None:
    """Tell whether the rule's tests pass; None where the texts are no rule set any more: an author would be told at once."""
    ruleset, _ = check(texts)
    if ruleset is None:
        return None
    own = [case for case in ruleset.cases if case.rule == rule]
    return all(result.passed for result in run_cases(ruleset, REGISTRY, cases=own))


def weakened(docs: dict[str, Doc]) -> dict[str, Doc]:
    """Return the packs with the planted defect: a rule that kept only its tests that expect nothing."""
    for doc in docs.values():
        for rule in doc["rules"]:
            if rule["id"] == PLANTED:
                rule["tests"] = [test for test in rule["tests"] if test["expect"] == "none"][:1]
    return docs


def _hunt(chosen: list[str], docs: Mapping[str, Doc]) -> Iterator[tuple[str, Mutant, bool | None]]:
    for rule in chosen:
        _, cut = alone(rule, docs)
        whole = {name: written(doc) for name, doc in cut.items()}
        if passes(whole, rule) is not True:
            raise SystemExit(f"{rule}: its tests fail as they stand")
        for mutant in mutants(rule, docs):
            yield rule, mutant, passes(mutant.texts, rule)


def body(run: Run) -> tuple[list[str], str]:
    """Change every threshold of the chosen rules, one after the other, and run their tests."""
    docs = packs(run.given.packs)
    if run.plant:
        docs = weakened(docs)
    named = [name for name in run.given.rules.split(",") if name]
    everything = [rule["id"] for doc in docs.values() for rule in doc["rules"] if run.given.pack in ("", doc["pack"])]
    chosen = named or [name for name in everything if not run.small or name in SMALL]
    started, survivors, refused, count = time.monotonic(), [], 0, 0
    done: dict[str, Any] = {}
    for rule, mutant, passed in _hunt(chosen, docs):
        count += 1
        refused += passed is None
        done[rule] = True
        if passed:
            survivors.append(f"survived: {mutant}")
        sys.stderr.write(f"\r[{len(done)}/{len(chosen)} rules] {count} mutants, {len(survivors)} survived  {rule:<50.50}")
        sys.stderr.flush()
    sys.stderr.write("\n")
    killed = count - len(survivors) - refused
    figures = f"{killed} killed by tests, {refused} refused by the checker, {len(survivors)} survived"
    line = f"rule-mutation: {len(done)} rules, {count} mutants, {figures}, {time.monotonic() - started:.0f} s"
    return survivors or ([] if count else ["no rule was chosen"]), line


MORE: Final = {
    "rules": {"default": "", "help": "ids, separated by commas"},
    "pack": {"default": "", "help": "one pack"},
    "packs": {"type": Path, "default": PACKS, "help": "folder of packs"},
}
CAMPAIGN: Final = Campaign(module="tests.campaigns.rule_mutation", about=__doc__, plants=("weak_tests",), more=MORE)


if __name__ == "__main__":
    sys.exit(play(CAMPAIGN, body))
