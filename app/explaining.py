"""Answers to "why" from a data folder, without a server."""

from __future__ import annotations

from app.folder import Folder
from app.views.scope import sight
from app.views.why import Why, gather, reckon
from domain.principals import Principal

OWNER = Principal(name="command line", role="admin")  # whoever can read the folder's files


def why_of(folder: Folder, warning_id: str) -> Why:
    """Return why a warning of a data folder stands.

    Raises:
        NotFound: there is no such warning.
        StoreUnavailable: there is no database, or it cannot be read.
    """
    with folder.look() as connection:
        trail = gather(connection, sight(connection, OWNER, warning_id))
    return reckon(trail, folder.ruleset)
