"""The engine in machine code: the modules of `streams.stages` and what they call, compiled by mypyc from the same sources.

`make engine` puts them into `streams/compiled`, with the digests of the sources that they were made of. They answer as the sources do, at
half the cost. Where they are not there, are of other sources or for another Python, the sources run.

`FENGSUI_COMPILED=no` has the sources run in any case, `FENGSUI_COMPILED=yes` refuses to start without the machine code.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

import msgspec

TOP: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = TOP / "streams" / "compiled"
MANIFEST: Final = "manifest.json"
VARIABLE: Final = "FENGSUI_COMPILED"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the folder: modules by their names, each with its file there; and what they were made of, with SHA-256 digests."""

    abi: str  # of the Python that they are for, as `sysconfig` names it
    modules: dict[str, str]
    sources: dict[str, str]  # paths from the top of the checkout


class Engine(NamedTuple):
    """Which engine this process runs; `why` is one of the keys `engine.*` of the catalogue, "" for the compiled one."""

    compiled: bool
    why: str


class Compiled(MetaPathFinder):
    """Finds the compiled modules before their sources."""

    def __init__(self, modules: Mapping[str, Path]) -> None:
        """`modules` are files by the names of modules."""
        self._modules = modules

    def find_spec(self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002  # the interface's
        """Return where a module is, None for one that is not compiled."""
        file = self._modules.get(fullname)
        return None if file is None else spec_from_file_location(fullname, file)


def take(wanted: str, folder: Path = FOLDER, top: Path = TOP) -> Engine:
    """Have later imports find the compiled engine, if `wanted` ("", "no" or "yes") and what is in `folder` allow.

    Raises:
        SystemExit: it is wanted and cannot be had, or `wanted` is none of the three; the text is in both languages.
    """
    if wanted not in {"", "no", "yes"}:
        _refuse("engine.unknown", wanted)
    modules, why = ({}, "engine.not_wanted") if wanted == "no" else usable(folder, top)
    if not why and not sys.modules.keys().isdisjoint(modules):
        why = "engine.too_late"
    if not why:
        sys.meta_path.insert(0, Compiled(modules))
    if why and wanted == "yes":
        _refuse(why, wanted)
    return Engine(not why, why)


def _refuse(why: str, wanted: str) -> None:
    from domain.messages import LANGUAGES, text  # noqa: PLC0415  # nothing else is imported before it is clear which engine runs

    said = [text("engine.refused", language, variable=VARIABLE, wanted=wanted, why=text(why, language)) for language in LANGUAGES]
    raise SystemExit("\n".join(said))


def usable(folder: Path, top: Path) -> tuple[dict[str, Path], str]:
    """Return the modules of `folder` by their names, and "" where they can run for the sources below `top`.

    Where they cannot there are none, and the reason is a key of the catalogue.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError:
        return {}, "engine.not_there"
    except msgspec.MsgspecError:
        return {}, "engine.damaged"
    if manifest.abi != sysconfig.get_config_var("SOABI"):
        return {}, "engine.other_python"
    if any(digest(top / source) != expected for source, expected in manifest.sources.items()):
        return {}, "engine.other_sources"
    modules = {name: folder / file for name, file in manifest.modules.items()}
    return (modules, "") if all(file.is_file() for file in modules.values()) else ({}, "engine.damaged")


def hindrance(folder: Path, top: Path) -> str:
    """Return why what is in `folder` cannot run for the sources below `top`, as a key of the catalogue; "" where it can."""
    return usable(folder, top)[1]


def digest(source: Path) -> str:
    """Return the digest of a file, "" for one that is not there."""
    return sha256(source.read_bytes()).hexdigest() if source.is_file() else ""


ENGINE: Final = take(os.environ.get(VARIABLE, ""))
"""What this process runs."""
