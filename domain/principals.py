"""Who asks: principals, their roles, and what a role may see."""

from __future__ import annotations

from typing import Literal

from domain.base import Noun

# admin: configures. duty: the duty desk (值班员), sees everything, rules on tasks. auditor: reads everything. department: a
# department's handlers; department_lead: its head, who may also review and transfer. feed: sends records of one feed. monitor:
# reads metrics. link: holds a one-time link of one task.
Role = Literal["admin", "duty", "auditor", "department", "department_lead", "feed", "monitor", "link"]
ROLES: tuple[str, ...] = Role.__args__  # type: ignore[attr-defined]  # typing has no typed way to list a Literal


class Principal(Noun, frozen=True, kw_only=True):
    """An authenticated asker; `department`, `feed` and `task_id` bind it to one of each where its role needs that."""

    name: str
    role: Role
    department: str = ""
    feed: str = ""
    task_id: str = ""
    via: Literal["token", "session", "signature", "link"] = "token"

    @property
    def sees_all(self) -> bool:
        """Say whether every department's warnings are visible."""
        return self.role in {"admin", "duty", "auditor"}
