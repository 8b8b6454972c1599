"""What others can read of a cluster: the topics `warnings` and `events`, as CloudEvents 1.0 in JSON.

Each event follows from something that was committed, and carries an id that is the same however often it is sent. Texts of signals are
not in them: whoever may read those asks the console or the API for the warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec.structs import replace

from domain.findings import EarlyWarning, EpisodeEnded, Outcome, RuleBlind, RuleHit, WarningRaised, WarningUpdated
from domain.instants import rfc3339
from domain.partitions import partition_of
from domain.ports import Grant, Letter


class Outputs:
    """Makes letters of outcomes; `source` names the deployment in them."""

    def __init__(self, source: str, partitions: int) -> None:
        """`partitions` is the number that both topics have."""
        self._source = source
        self._partitions = partitions

    def __call__(self, grant: Grant, upto: int, outcomes: Sequence[Outcome]) -> list[Letter]:
        """Return the letters for what followed from the messages up to `upto` of a partition; nothing of rules on trial or kept back."""
        letters = []
        for number, outcome in enumerate(outcomes):
            id_ = f"{grant.topic}/{grant.partition}/{upto}/{number}"
            match outcome:
                case WarningRaised(warning=warning) if not warning.shadow:
                    letters.append(self._warning(id_, "raised", warning, ""))
                case WarningUpdated(warning=warning, reason=reason) if not warning.shadow:
                    letters.append(self._warning(id_, "updated", warning, reason))
                case EpisodeEnded() if not outcome.shadow:
                    data = {"id": outcome.warning_id, "ended": outcome.reason, "ended_at": outcome.at}
                    letters.append(self._letter("warnings", outcome.warning_id, id_, "warning.ended", outcome.at, data))
                case RuleHit() if not (outcome.shadow or outcome.suppressed):
                    letters.append(self._letter("events", outcome.subject, id_, "rule.hit", outcome.at, outcome))
                case RuleBlind() if not outcome.shadow:
                    letters.append(self._letter("events", outcome.subject, id_, "rule.blind", outcome.at, outcome))
        return letters

    def _warning(self, id_: str, what: str, warning: EarlyWarning, reason: str) -> Letter:
        bare = replace(warning, evidence=tuple(replace(each, text="") for each in warning.evidence))
        data = msgspec.to_builtins(bare, builtin_types=(datetime,)) | {"reason": reason}
        return self._letter("warnings", warning.id, id_, f"warning.{what}", warning.updated_at, data)

    def _letter(self, to: Literal["warnings", "events"], key: str, id_: str, kind: str, at: datetime, data: object) -> Letter:
        event = {
            "specversion": "1.0",
            "id": id_,
            "source": self._source,
            "type": f"fengsui.{kind}",
            "subject": key,
            "time": rfc3339(at),
            "datacontenttype": "application/json",
            "data": data,
        }
        return Letter(to=to, partition=partition_of(key, self._partitions), key=key.encode(), body=msgspec.json.encode(event))
