"""Named points at which a campaign kills the process, and named defects that a campaign must catch.

Both are off unless the environment switches them on: `FENGSUI_CRASH_AT=name:n` kills this process with SIGKILL the n-th time that
`name` is reached; `FENGSUI_PLANT=name` switches on one planted defect. A campaign that does not catch its defect proves nothing.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Mapping
from types import MappingProxyType

CRASH_VARIABLE = "FENGSUI_CRASH_AT"
PLANT_VARIABLE = "FENGSUI_PLANT"

POINTS: Mapping[str, str] = MappingProxyType(
    {
        "journal.before_write": "a group is numbered, none of its bytes is written",
        "journal.after_write": "a group is in the page cache, not synced",
        "journal.after_sync": "a group is on the disk, its mark is not written",
        "journal.after_mark": "a group and its mark are written, the index does not know it",
        "journal.before_roll": "a segment is full, the next one is not there",
        "journal.after_roll": "the next segment exists and is empty",
        "intake.before_answer": "a group is on the disk and in the index, nobody was told",
        "intake.after_answer": "the senders were told, the runtime was not",
        "identity.before_update": "the identity index is about to be told of synced records",
        "identity.before_flush": "the identity index is about to write what it holds in memory",
        "raw.before_rename": "raw input is written under its temporary name",
        "raw.after_rename": "raw input has its name, the folder is not synced",
        "key.before_rename": "a new key is written under its temporary name",
        "key.after_rename": "a new key has its name, the folder is not synced",
        "snapshot.before_rename": "a snapshot is written under its temporary name",
        "snapshot.after_rename": "a snapshot has its name, older ones are still there",
        "vault.after_keep": "personal values are in their table, the records that name them by token are offered to nobody",
        "erase.after_raw": "inputs and files that name a person are deleted, the value by which they are found is not",
        "commit.before": "the effects of a step are decided, the transaction is not begun",
        "commit.after": "the transaction is committed, the runtime does not know it",
        "outbox.before_send": "a delivery is claimed, nothing was sent",
        "outbox.after_send": "the receiver answered, the row does not say so",
        "timer.before_fire": "a due timer is claimed, its effects are not committed",
        "timer.after_fire": "a timer's effects are committed, the loop does not know it",
        "reload.before_swap": "a rule set is checked and journalled, the old one still runs",
        "feedfile.before_rename": "a file's records are acknowledged, the file lies where it came in",
        "feedfile.after_rename": "a file is moved away, its batch is not noted",
        "source.before_offer": "messages of another system's topic are polled, nothing of them is offered",
        "source.before_commit": "the messages of another system's topic are acknowledged, their offset is not committed",
    }
)

PLANTS: Mapping[str, str] = MappingProxyType(
    {
        "ack_before_sync": "the journal answers while the records are only in this process's memory",
        "skip_frame": "a worker passes one frame in twenty over, as Faust does with one whose handler failed",
        "stale_snapshot": "the snapshot of a partition holds the state of the one before it",
        "deadly_signal": "a signal named `deadly` kills the worker that steps it, and the edge that reads it from another system's topic",
        "mixed_set": "the engine runs a new set of rules with one pack of the set before it",
    }
)


def _armed(setting: str) -> tuple[str, int]:
    """Return name and count of `name:n` (n from 1; 1 when left out), ("", 0) for "".

    >>> _armed("commit.before:3"), _armed("commit.after"), _armed("")
    (('commit.before', 3), ('commit.after', 1), ('', 0))

    Raises:
        ValueError: an unknown point, or n is no positive whole number.
    """
    if not setting:
        return "", 0
    name, _, count = setting.partition(":")
    if name not in POINTS:
        raise ValueError(f"{CRASH_VARIABLE} names the unknown point {name!r}; legal: {', '.join(POINTS)}")
    if count and (not count.isdecimal() or int(count) < 1):
        raise ValueError(f"{CRASH_VARIABLE}={setting!r}: what follows the colon is a count from 1")
    return name, int(count or 1)


_NAME, _COUNT = _armed(os.environ.get(CRASH_VARIABLE, ""))
_reached = itertools.count(1)


def reach(name: str) -> None:
    """Die here by SIGKILL if the environment says so, else do nothing.

    Raises:
        KeyError: `name` is not in the table.
    """
    if name not in POINTS:
        raise KeyError(f"unknown crash point {name!r}; legal: {', '.join(POINTS)}")
    if name == _NAME and next(_reached) == _COUNT:
        os.kill(os.getpid(), signal.SIGKILL)


def planted(name: str) -> bool:
    """Tell whether the environment switches on the planted defect `name`.

    Raises:
        KeyError: `name` is not in the table.
    """
    if name not in PLANTS:
        raise KeyError(f"unknown planted defect {name!r}; legal: {', '.join(PLANTS)}")
    return os.environ.get(PLANT_VARIABLE, "") == name
