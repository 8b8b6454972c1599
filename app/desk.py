"""What obligations are decided with: calendar, departments, policies, rulings and catalogue, each the version in force now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Connection

from dispatch.draft import Context
from dispatch.policy import PolicySet
from dispatch.policyfile import parse_policies
from dispatch.workcalendar import WorkCalendar
from domain.catalogue import Catalogue
from storage import obligations, risk


def read_policies(folder: Path) -> Mapping[str, str]:
    """Return the policy files of a folder: name → text, sorted by name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}


class Desk:
    """Reads the parts from the database inside the caller's transaction, so that a decision sees what it is committed with."""

    def __init__(self, calendar: WorkCalendar, policies: Path) -> None:
        """Load the policy folder.

        Raises:
            FileProblems: a policy file is wrong; all problems at once.
        """
        self.calendar = calendar
        self.policies = PolicySet(policies=parse_policies(read_policies(policies)))

    def context(self, connection: Connection) -> Context:
        """Return everything that a decision looks up."""
        return Context(
            calendar=self.calendar,
            directory=obligations.directory(connection),
            policies=self.policies,
            precedents=obligations.all_precedents(connection),
        )

    def catalogue(self, connection: Connection) -> Catalogue:
        """Return the newest imported catalogue, the empty one where there is none."""
        return risk.current_catalogue(connection)
