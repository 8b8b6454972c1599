"""List files (名单): `lists/NAME.txt` beside the packs, one entry a line, read by expressions as `@NAME`.

They are texts of the rule set like the packs: a changed list is a new version, and a replay finds the list that was in force.
"""

from __future__ import annotations

import re
from typing import Final

from rules.documents import SLUG
from rules.literals import Constant
from rules.problems import WHOLE_FILE, Mark, Phrase, Problems

FOLDER: Final = "lists/"
MOST: Final = 50_000  # entries of one list
LONGEST: Final = 200  # characters of one entry


def read_list(file: str, text: str, problems: Problems) -> tuple[str, Constant] | None:
    """Return the name under which expressions know a list, with its "@", and its entries; None after reporting.

    What follows a `#` at the start of a line or after a space is a remark; empty lines say nothing.
    """
    name = file.removeprefix(FOLDER).removesuffix(".txt")
    if not re.fullmatch(SLUG, name):
        problems.add(file, WHOLE_FILE, "rules.not_shaped", read=name, field="lists", shape=Phrase("rules.shape.slug"))
        return None
    entries: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        entry = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if not entry:
            continue
        if len(entry) > LONGEST:
            problems.add(file, Mark(number, 1), "rules.too_long", field=name, limit=LONGEST)
        elif entry in entries:
            problems.warn(file, Mark(number, 1), "rules.twice", read=entry)
        entries.setdefault(entry, number)
    if not entries:
        problems.add(file, WHOLE_FILE, "rules.empty_list")
        return None
    if len(entries) > MOST:
        problems.add(file, WHOLE_FILE, "rules.list_too_long", read=len(entries), limit=MOST)
        return None
    return f"@{name}", Constant("set", tuple(Constant("text", entry) for entry in entries))
