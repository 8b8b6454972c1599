"""The error tree: one leaf per thing that the caller does next, not one per thing that went wrong.

Every message says what is wrong, where, and which values are legal; every docstring ends with the operator's action.
"""

from __future__ import annotations

import msgspec


class FengsuiError(Exception):
    """Root of all errors that Fengsui raises on purpose.

    Operator action: read the message; it names the place and the remedy.
    """


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong in a file that a person wrote, at 1-based `line` and `column` (0: the whole file)."""

    file: str
    line: int
    column: int
    message: str
    severity: str = "error"  # "error" or "warning"

    def __str__(self) -> str:
        """Render as compilers do, so that editors can jump to it."""
        return f"{self.file}:{self.line}:{self.column} {self.message}"


class FileProblems(FengsuiError):
    """A file that a person wrote (rules, mapping, policy, catalogue, settings) cannot be used; all problems at once.

    Operator action: mend every `file:line:column` named, then load again; what ran before goes on running.
    """

    def __init__(self, problems: list[Problem]) -> None:
        """Keep `problems` in file order; there is at least one."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class SignalRejected(FengsuiError):
    """A record cannot become a signal, or an input is too large to be read at all; it is kept with `reason`.

    Operator action: mend the mapping or ask the sender, then `fengsui feeds replay FEED`; have what is too large sent in parts.
    """

    def __init__(self, reason: str, message: str, *, field: str = "") -> None:
        """`reason` is a code of `domain.rejections`, `field` the canonical field or source header it is about."""
        super().__init__(message)
        self.reason = reason
        self.field = field


class NotFound(FengsuiError):
    """The thing named does not exist, or the asker may not know that it does.

    Operator action: check the id; lists show the legal ones.
    """


class Conflict(FengsuiError):
    """The thing changed in the meantime, or the request repeats an earlier one with other content.

    Operator action: read the current state, decide again.
    """


class Forbidden(FengsuiError):
    """The asker is known but may not do this.

    Operator action: ask an administrator for the role, or use the credential of the competent department.
    """


class InvalidAction(FengsuiError):
    """A task does not allow this action in its stage, role or with this form.

    Operator action: the message lists the legal actions and the missing fields.
    """


class IllegalValue(FengsuiError):
    """A filter or option has a value that nothing can fit: an empty list would hide the slip.

    Operator action: the message names the legal values and the nearest one; ask again with one of them.
    """


class DeliveryRejected(FengsuiError):
    """A receiver refused for good (410, a forbidden address, a body too large); trying again cannot help.

    Operator action: mend the endpoint's address or secret, then resend from the dead letters.
    """


class StoreUnavailable(FengsuiError):
    """Disk or database does not take writes now; nothing was acknowledged.

    Operator action: free disk space or restore the device, then send again; senders get 503 with Retry-After.
    """


class StoreCorrupt(FengsuiError):
    """Stored bytes fail their checksum at a place where no crash can have torn them.

    Operator action: restore the named file from a backup; Fengsui does not guess around it.
    """


class Fenced(FengsuiError):
    """A partition was assigned to somebody else since: nothing of the transaction was kept, and nothing more may be written for it.

    Operator action: none, the other process goes on; where it repeats, look why assignments move (pauses, restarts, time-outs).
    """


class ServerSaid(FengsuiError):
    """The server that a command talks to refused, or could not be reached.

    Operator action: the message is the server's own; start `fengsui serve` or name its address with --url where there is none.
    """
