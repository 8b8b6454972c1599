"""The command line as the documentation may name it."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import typer

from app.cli import app

_NAMED = re.compile(r"(?<![\w./-])(?:\.venv/bin/|bin/)?fengsui((?: +[^\s`|;&>)]+(?:\|[a-z-]+)*)*)")
_OPTION = re.compile(r"(?<!\S)(--[a-z][a-z-]*)")


@cache
def tree() -> Any:
    """Return the click command of `fengsui`."""
    return typer.main.get_command(app)


def options(*path: str) -> frozenset[str]:
    """Return the options of a command, e.g. of ("rules", "check"); raises KeyError for one that does not exist."""
    command = tree()
    for name in path:
        command = command.commands[name]
    return frozenset(option for one in command.params for option in (*one.opts, *one.secondary_opts)) | {"--help"}


def variables(command: Any = None) -> frozenset[str]:
    """Return the environment variables that options of any command read."""
    command = command or tree()
    below = (variables(one) for one in getattr(command, "commands", {}).values())
    own = {name for one in command.params for name in ([one.envvar] if isinstance(one.envvar, str) else one.envvar or ())}
    return frozenset(own).union(*below)


def wrong_with(code: str) -> list[str]:
    """Return what is wrong with the commands of a piece of code: `fengsui` and what follows it on the line.

    >>> wrong_with("fengsui rules check|test DIR"), wrong_with("fengsui rule check"), wrong_with("fengsui serve --prot 1")
    ([], ['fengsui rule'], ['fengsui serve --prot'])
    """
    found = []
    for match in _NAMED.finditer(code):
        words = match[1].split()
        path: list[str] = []
        command, alternatives = tree(), [""]
        while words and hasattr(command, "commands") and not words[0].startswith("-"):
            alternatives = words.pop(0).split("|")
            unknown = [word for word in alternatives if word not in command.commands]
            if unknown:
                found.append(" ".join(("fengsui", *path, unknown[0])))
                break
            path.append(alternatives[0])
            command = command.commands[alternatives[0]]
        else:
            legal = options(*path)
            given = _OPTION.findall(" ".join(words))
            found += [" ".join(("fengsui", *path, option)) for option in given if option not in legal]
    return found
