"""How the kernel's functions are compiled, and the few machine operations that numpy has no name for.

Nothing of a rule set is compiled: the same machine code runs every rule set, and is kept on disk between processes. NUMBA_BOUNDSCHECK=1
checks every access to an array, NUMBA_DISABLE_JIT=1 runs everything as plain Python, to step through it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])


def _cache_folder() -> Path:
    """Return where machine code of exactly these sources is kept: numba looks at a function's own file alone, not at what it calls."""
    here = Path(__file__).parent
    seen = hashlib.sha256(numba.__version__.encode())
    for path in (*sorted(here.glob("*.py")), here.parent / "stages" / "windows.py"):
        seen.update(path.read_bytes())
    own = here / "__pycache__"
    try:
        own.mkdir(exist_ok=True)
        writable = os.access(own, os.W_OK)
    except OSError:
        writable = False
    home = os.environ.get("HOME")
    private = f"{home}/.cache" if home else tempfile.mkdtemp(prefix="fengsui-")  # never a folder that others can write code into
    kept = own if writable else Path(os.environ.get("XDG_CACHE_HOME") or private) / "fengsui"
    checked = "-checked" if numba.config.BOUNDSCHECK else ""
    return kept / f"kernel-{seen.hexdigest()[:16]}{checked}"


if not numba.config.CACHE_DIR:
    numba.config.CACHE_DIR = str(_cache_folder())


def tidy() -> None:
    """Remove the machine code of other sources than these."""
    own = Path(numba.config.CACHE_DIR)
    for folder in own.parent.glob("kernel-*"):
        if folder.name.removesuffix("-checked") != own.name.removesuffix("-checked"):
            shutil.rmtree(folder, ignore_errors=True)


def kept() -> bool:
    """Tell whether machine code of exactly these sources is kept already, so that nothing has to be compiled."""
    return any(Path(numba.config.CACHE_DIR).rglob("*.nbi"))


class _Inlay(JITCodeLibrary):  # type: ignore[misc]  # numba is untyped
    """The intermediate code of what only compiled code calls: it is optimised and made machine code of within its callers alone."""

    def _optimize_final_module(self) -> None:
        """Leave it to the callers; optimised at each level of calls, the innermost would be ten times over."""

    def _finalize_final_module(self) -> None:
        """Have all that callers take in; the machine is given nothing."""
        self._finalize_dynamic_globals()
        self._finalized = True


class _InlayCompiler(Compiler):  # type: ignore[misc]  # as above
    """Compiles into an `_Inlay`."""

    def __init__(self, typing: Any, target: Any, _library: Any, args: Any, result: Any, flags: Any, local: Any) -> None:
        flags.no_compile = True
        super().__init__(typing, target, _Inlay(target.codegen(), "inlay"), args, result, flags, local)


class _Inner(CPUDispatcher):  # type: ignore[misc]  # numba is untyped
    """What has no way in from Python: to take the arrays of a state out of their tuples is more machine code than most functions are."""

    def add_overload(self, made: Any) -> None:
        """Let compiled code find what was made: by a name that stands for a function, where numba has the function's machine code."""
        named = made._replace(entry_point=object())
        self.overloads[tuple(named.signature.args)] = named
        self.targetctx.insert_user_function(named.entry_point, named.fndesc, [named.library])

    def __call__(self, *_given: object) -> object:
        raise TypeError(f"{self.py_func.__name__} is for compiled code only: without a way in the call would end the process")


# Without reference counting: nothing compiled here makes or keeps an array, and counting those it is given costs more than the work.
_OPTIONS: Final = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
# What is kept of a function holds all that it calls.
_INNER: Final = {"no_cpython_wrapper": True, "cache": False, "pipeline_class": _InlayCompiler}


def compiled(function: F) -> F:
    """Compile at the first call, with the result kept on disk; integer division does not look for zeros. No array is made inside."""
    return numba.njit(**_OPTIONS)(function)  # type: ignore[no-any-return]  # numba is untyped


def inner(function: F) -> F:
    """As `compiled`, for what only compiled code calls."""
    return _without_door(numba.njit(**_OPTIONS | _INNER)(function))  # type: ignore[no-any-return]  # as above


def inlined(function: F) -> F:
    """As `inner`, for what is called at every signal and is small."""
    return _without_door(numba.njit(**_OPTIONS | _INNER, forceinline=True)(function))  # type: ignore[no-any-return]  # as above


def shared(function: F) -> F:
    """As `inlined`, for what Python calls too."""
    return numba.njit(**_OPTIONS, forceinline=True)(function)  # type: ignore[no-any-return]  # as above


def _without_door(made: Any) -> Any:
    if isinstance(made, CPUDispatcher):  # with NUMBA_DISABLE_JIT it is the function itself
        made.__class__ = _Inner
    return made


@intrinsic
def _popcount(typing: Any, x: Any) -> Any:  # noqa: ARG001  # numba's signature
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001  # as above
        return builder.ctpop(arguments[0])

    return types.int64(types.int64), generate


@intrinsic
def _lowest(typing: Any, x: Any) -> Any:  # noqa: ARG001  # numba's signature
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001  # as above
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.int64), generate


@intrinsic
def _load64(typing: Any, array: Any, place: Any) -> Any:  # noqa: ARG001  # numba's signature
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        at = builder.gep(data, [arguments[1]])
        return builder.load(builder.bitcast(at, ir.IntType(64).as_pointer()), align=1)

    return types.uint64(array, types.int64), generate


@intrinsic
def _bits_of(typing: Any, x: Any) -> Any:  # noqa: ARG001  # numba's signature
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001  # as above
        return builder.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), generate


def popcount(x: int) -> int:
    """Return how many of the 64 bits of `x` are set."""
    return int(x & 0xFFFFFFFFFFFFFFFF).bit_count()


def lowest(x: int) -> int:
    """Return the place of the lowest bit that is set, 64 for none."""
    return (int(x) & -int(x)).bit_length() - 1 if x else 64


def load64(array: NDArray[np.uint8], place: int) -> np.uint64:
    """Return eight bytes of `array` from `place` on, the first the lowest; there must be as many."""
    return np.uint64(int.from_bytes(array[place : place + 8].tobytes(), "little"))


def bits_of(x: float) -> int:
    """Return the 64 bits of a float as a whole number."""
    return int(np.float64(x).view(np.int64))


@overload(popcount, strict=False)
def _compiled_popcount(x: Any) -> Any:  # noqa: ARG001  # numba's signature
    return lambda x: _popcount(x)  # noqa: PLW0108  # numba wants a function of Python


@overload(lowest, strict=False)
def _compiled_lowest(x: Any) -> Any:  # noqa: ARG001  # numba's signature
    return lambda x: _lowest(x)  # noqa: PLW0108  # as above


@overload(load64, strict=False)
def _compiled_load64(array: Any, place: Any) -> Any:  # noqa: ARG001  # numba's signature
    return lambda array, place: _load64(array, place)  # noqa: PLW0108  # as above


@overload(bits_of, strict=False)
def _compiled_bits_of(x: Any) -> Any:  # noqa: ARG001  # numba's signature
    return lambda x: _bits_of(x)  # noqa: PLW0108  # as above
