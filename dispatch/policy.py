"""Which policy holds for a warning, and why that one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.kinds import SECTORS
from domain.messages import CATALOGUE, text
from domain.policies import Limit, Limits, Match, Policy, Rung

# For a warning that the files have no policy for, and for one whose routing failed: the desk, then those above it, by clocks that
# stop for no night and no holiday. It needs nothing that could be missing, so no warning is ever without a clock.
LAST_RESORT: Final = Policy(
    name="built-in-unrouted",
    version=1,
    match=Match(unrouted=True),
    limits=Limits(designate=Limit(amount=1, unit="nh"), total=Limit(amount=24, unit="nh")),
    ladder=(
        Rung(after=Limit(amount=0, unit="nh"), act="urge", to="duty_desk"),
        Rung(after=Limit(amount=1, unit="nh"), act="report", to="task_force"),
        Rung(after=Limit(amount=4, unit="nh"), act="report", to="deputy_mayor"),
    ),
    urgency="phone",
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The winner and the reason that is stored with the warning."""

    policy: Policy
    reason: str


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies in force, in the order of their files."""

    policies: tuple[Policy, ...] = ()

    def choose(
        self, *, level: str, sector: str = "", matter: str = "", region: str = "", department: str = "", unrouted: bool = False
    ) -> Chosen | None:
        """Return the most specific policy for a warning, else None.

        A named matter comes before a named department, that before a named sector, a longer region prefix, a named level; then the
        higher version of one name, then the earlier policy. `department` is the lead's.
        """
        best: Policy | None = None
        best_rank: tuple[int, ...] = ()
        for policy in self.policies:
            match = policy.match
            if match.unrouted != unrouted or not _fits(match, level, sector, matter, region, department):
                continue
            rank = _rank(match, region)
            better = best is None or rank > best_rank or (rank == best_rank and policy.name == best.name and policy.version > best.version)
            if better:
                best, best_rank = policy, rank
        if best is None:
            return None
        named = "，".join(_named(best.match)) or text("policy.any")
        return Chosen(best, text("policy.chosen", policy=best.ref, named=named))


def _fits(match: Match, level: str, sector: str, matter: str, region: str, department: str) -> bool:
    pairs = ((match.level, level), (match.sector, sector), (match.matter, matter), (match.department, department))
    return all(not wanted or value in wanted for wanted, value in pairs) and (
        not match.region or any(region.startswith(prefix) for prefix in match.region)
    )


def _rank(match: Match, region: str) -> tuple[int, ...]:
    reach = max((len(prefix) for prefix in match.region if region.startswith(prefix)), default=0)
    return (int(bool(match.matter)), int(bool(match.department)), int(bool(match.sector)), reach, int(bool(match.level)))


def _named(match: Match) -> list[str]:
    """Return what a policy is for as people read it: levels and sectors by their titles, ids of what is imported as they are."""
    found = [
        text(f"policy.match.{key}", named="、".join(_title(key, value) for value in given))
        for key in ("matter", "department", "sector", "region", "level")
        if (given := getattr(match, key))
    ]
    return found + ([text("policy.match.unrouted")] if match.unrouted else [])


def _title(key: str, value: str) -> str:
    if key == "sector" and value in SECTORS:
        return SECTORS[value][0]
    return text(f"level.{value}") if key == "level" and f"level.{value}" in CATALOGUE else value
