"""The rule for services of the machine: install as root, else skip with the command, fail on a CI machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import SERVICES, Service, Unavailable, demand, provide

ABSENT = Service(("no-such-program-fengsui",), ("no-such-package",))


def _never(_packages: tuple[str, ...]) -> str:
    raise AssertionError("must not install")


def test_a_present_program_is_returned_without_installing() -> None:
    """A service that is there costs nothing."""
    assert provide(Service(("sh",), ("dash",)), root=True, install=_never).name == "sh"


def test_without_root_the_message_names_the_command() -> None:
    """Somebody who is not root is told what to run, in one line."""
    with pytest.raises(Unavailable) as caught:
        provide(ABSENT, root=False, install=_never)
    message = str(caught.value)
    assert "apt-get install --no-install-recommends no-such-package" in message
    assert "\n" not in message


def test_as_root_the_packages_are_installed_and_the_program_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root gets the service installed and then used."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    asked: list[tuple[str, ...]] = []

    def install(packages: tuple[str, ...]) -> str:
        asked.append(packages)
        program = tmp_path / ABSENT.programs[0]
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        return ""

    assert provide(ABSENT, root=True, install=install) == tmp_path / ABSENT.programs[0]
    assert asked == [("no-such-package",)]


def test_a_failed_installation_says_why() -> None:
    """What the package manager said last reaches the reader."""
    with pytest.raises(Unavailable, match="Unable to locate package"):
        provide(ABSENT, root=True, install=lambda _packages: "E: Unable to locate package no-such-package")


@pytest.mark.parametrize(("ci", "expected"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_service_fails_in_ci_and_is_skipped_elsewhere(
    ci: str, expected: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A green run on a CI machine cannot mean that tests were skipped."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setitem(SERVICES, "absent", ABSENT)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(expected):
        demand("absent")


def test_an_unknown_service_is_an_error_of_the_test(service: Callable[[str], Path]) -> None:
    """A misspelt name never skips silently."""
    with pytest.raises(pytest.fail.Exception, match="unknown service"):
        service("promethius")
