"""Versions of the rule set: what was active, going back, and the approval by a second person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import get, post
from litestar.params import JSONBody

from app.api import bodies
from app.api.given import PrincipalGiven, ServicesGiven
from app.api.parameters import RulesetPath
from app.api.roles import DUTY, OVERSEERS
from app.rules_shown import RulesShown
from app.services import Services
from domain.base import Noun
from domain.errors import Problem
from domain.messages import both
from rules.diff import Difference, differences
from storage import risk, rule_versions
from storage.database import Database

WAIT = 5.0  # seconds that an answer waits for what was decided; then it is still under way


class RulesetState(Noun, frozen=True, kw_only=True):
    """Where the rule set stands: what is active, what a child is looking at (`position` of `head` records), what a person went back to.

    `told` is how far the child is in words, `problems` are what is wrong with the newest set that was refused.
    """

    active: str
    preparing: str
    position: int
    head: int
    told: str
    pinned: rule_versions.Pin | None
    problems: tuple[Problem, ...]


class Waiting(Noun, frozen=True, kw_only=True):
    """The candidate that waits for a second person, and what it changes; None where none does."""

    needed: bool
    candidate: rule_versions.Candidate | None
    changes: tuple[Difference, ...]


@dataclass(frozen=True)
class Decision:
    """Why a person decides so."""

    reason: str = ""


@dataclass(frozen=True)
class Return:
    """The version to go back to (its first characters are enough), and why."""

    version: str
    reason: str = ""


def state_of(services: Services) -> RulesetState:
    """Return where the rule set stands."""
    book = services.rulebook
    told = book.progress
    position, head = (told.position, told.head) if told is not None else (0, 0)
    return RulesetState(
        active=book.active,
        preparing=book.preparing,
        position=position,
        head=head,
        told=book.told,
        pinned=book.pinned,
        problems=tuple(book.problems),
    )


def waiting(database: Database, book: RulesShown) -> Waiting:
    """Return what waits, field by field beside the active set."""
    found = book.approval.waiting()
    if found is None:
        return Waiting(needed=book.approval.needed, candidate=None, changes=())
    with database.read() as connection:
        new = risk.ruleset_texts(connection, found.version) or {}
        old = risk.ruleset_texts(connection, book.active) or {}
    return Waiting(needed=book.approval.needed, candidate=found, changes=differences(old, new))


@get("/v1/rules/versions", summary=both("operation.rule_versions"), opt={"roles": OVERSEERS}, sync_to_thread=True)
def list_versions(services: ServicesGiven) -> list[rule_versions.Version]:
    """Return the sets that were ever active, the last activated first."""
    with services.database.read() as connection:
        return rule_versions.versions(connection)


@get("/v1/rules/state", summary=both("operation.rule_state"), opt={"roles": OVERSEERS}, sync_to_thread=True)
def get_state(services: ServicesGiven) -> RulesetState:
    """Return what is active, and what is on its way to be."""
    return state_of(services)


@get("/v1/rules/pending", summary=both("operation.rule_pending"), opt={"roles": OVERSEERS}, sync_to_thread=True)
def get_pending(services: ServicesGiven) -> Waiting:
    """Return the candidate that waits for approval, with what it changes."""
    return waiting(services.database, services.rulebook)


@post(
    "/v1/rules/rollback",
    summary=both("operation.rule_rollback"),
    operation_class=bodies.ROLLBACK,
    opt={"roles": DUTY},
    status_code=202,
    sync_to_thread=True,
)
def roll_back(services: ServicesGiven, principal: PrincipalGiven, data: JSONBody[Return]) -> RulesetState:
    """Go back to a version; the folder is left as it is, and takes over again when it changes."""
    services.rulebook.roll_back(data.version, principal.name, services.clock.now(), data.reason)
    services.rulebook.settle(WAIT)
    return state_of(services)


@post(
    "/v1/rules/pending/{ruleset:str}/approve",
    summary=both("operation.rule_approve"),
    operation_class=bodies.DECISION,
    opt={"roles": DUTY},
    status_code=200,
    sync_to_thread=True,
)
def approve(services: ServicesGiven, principal: PrincipalGiven, ruleset: RulesetPath, data: JSONBody[Decision]) -> dict[str, Any]:
    """Approve the candidate; where nobody stands for it yet, this person does from now on and another one has to approve it."""
    told = services.rulebook.approve(ruleset, principal.name, data.reason)
    services.rulebook.settle(WAIT if told == "approved" else 0.0)
    return {"decision": told, **msgspec.to_builtins(state_of(services))}


@post(
    "/v1/rules/pending/{ruleset:str}/refuse",
    summary=both("operation.rule_refuse"),
    operation_class=bodies.DECISION,
    opt={"roles": DUTY},
    status_code=200,
    sync_to_thread=True,
)
def refuse(services: ServicesGiven, principal: PrincipalGiven, ruleset: RulesetPath, data: JSONBody[Decision]) -> dict[str, Any]:
    """Refuse the candidate, with the reason; the old set runs on."""
    services.rulebook.approval.refuse(ruleset, principal.name, data.reason)
    return {"decision": "refused", **msgspec.to_builtins(state_of(services))}
