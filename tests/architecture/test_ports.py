"""Ports stay small."""

from __future__ import annotations

import inspect
from typing import Protocol

import pytest

from domain import ports

MOST_METHODS = 6


def _ports() -> list[type]:
    return [
        thing
        for _, thing in inspect.getmembers(ports, inspect.isclass)
        if thing.__module__ == ports.__name__ and getattr(thing, "_is_protocol", False)
    ]


def _methods(port: type) -> list[str]:
    names = {name for base in port.__mro__ if base not in (object, Protocol) for name in vars(base)}
    return sorted(name for name in names if inspect.isfunction(getattr(port, name)) and (name == "__call__" or not name.startswith("_")))


@pytest.mark.parametrize("port", _ports(), ids=lambda port: port.__name__)
def test_a_port_has_at_most_six_methods(port: type) -> None:
    """A port that grows beyond six methods is two ports."""
    assert 1 <= len(_methods(port)) <= MOST_METHODS, _methods(port)


@pytest.mark.parametrize("port", _ports(), ids=lambda port: port.__name__)
def test_every_method_of_a_port_is_described(port: type) -> None:
    """An adapter's author finds the contract in the docstring."""
    assert port.__doc__
    assert [name for name in _methods(port) if not getattr(port, name).__doc__] == []


def test_inherited_methods_are_counted() -> None:
    """A port cannot hide its size behind a base class."""

    class Base(Protocol):
        def one(self) -> None: ...

    class Grown(Base, Protocol):
        def two(self) -> None: ...

    assert _methods(Grown) == ["one", "two"]
