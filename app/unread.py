"""Files of a rules folder that nothing reads: a pack with a misspelt name must not look like a pack that finds nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from app.rule_folder import RULE_FILES
from domain.errors import Problem
from domain.messages import text
from rules.load import FOLDERS

ENDINGS: Final = frozenset({".yaml", ".yml"})


def unread(folder: Path, language: str = "zh-CN") -> list[Problem]:
    """Return a warning for each file that was meant to be read, by name: YAML anywhere below, and whatever lies beside lists and the like.

    Hidden files and folders are somebody else's.
    """
    read = {path for pattern in RULE_FILES for path in folder.glob(pattern)}
    legal = ", ".join(RULE_FILES)
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path in read or not path.is_file() or any(part.startswith(".") for part in name.split("/")):
            continue
        if path.suffix.lower() in ENDINGS or name.startswith(FOLDERS):
            message = text("rules.unread", language, legal=legal)
            found.append(Problem(file=name, line=0, column=0, message=message, severity="warning"))
    return found
