"""A command that was typed wrongly: what is wrong in both languages, how it is used, and the exit code for it."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.exceptions import TyperException

from domain.messages import both

_SAID = (  # how the library's sentences begin
    ("Missing ", "usage.missing"),
    ("No such option", "usage.no_option"),
    ("No such command", "usage.no_command"),
    ("Invalid value", "usage.invalid"),
    ("Option ", "usage.no_value"),
    ("Got unexpected", "usage.extra"),
)
_QUOTED = re.compile(r"'([^']+)'")


def refuse(error: TyperException) -> int:
    """Say what is wrong with a command on standard error; return the exit code."""
    context: Any = getattr(error, "ctx", None)
    if context is not None and error.message == context.get_help():  # a noun without its verb: the verbs are the answer
        typer.echo(error.message, err=True)
        return error.exit_code
    if context is not None:
        typer.echo(context.get_usage(), err=True)
    typer.echo(told(error.format_message()), err=True)
    if context is not None:
        typer.echo(both("usage.help", command=context.command_path), err=True)
    return error.exit_code


def told(message: str) -> str:
    """Return the library's sentence in both languages.

    >>> told("Missing option '--from'.")
    '缺少 --from / missing: --from'
    >>> told("Got unexpected extra argument(s) (a b)")
    '多余的参数：a b / too many arguments: a b'
    """
    key = next((key for beginning, key in _SAID if message.startswith(beginning)), "usage.other")
    if key == "usage.extra":
        return both(key, named=message[message.index("(s) (") + 5 :].rstrip(")") if "(s) (" in message else message)
    if key == "usage.no_option":
        return both(key, named=message.partition(": ")[2])
    _, _, why = message.partition(": ")
    return both(key, named=", ".join(_QUOTED.findall(message)[:1]) or message, why=why or message)
