"""Inputs that no reader survives: a defect of ours that one file or message brings about, and that must not hold up the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from domain.errors import FengsuiError

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Defect:
    """What brought a reader down, "" where nothing did."""

    text: str = ""


@contextmanager
def survived(event: str, **where: str) -> Iterator[Defect]:
    """End the block at a defect, which is logged as `event` and given; what is told on purpose passes, and what the machine refuses.

    Raises:
        FengsuiError: as the block.
        OSError: as the block.
    """
    defect = Defect()
    try:
        yield defect
    except (FengsuiError, OSError):
        raise
    except Exception as error:  # noqa: BLE001  # the loops over inputs: one that no reader survives holds up no other
        _log.critical(event, exc_info=True, **where)
        defect.text = f"{type(error).__name__}: {error}"
