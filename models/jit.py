"""``kernel``: how the functions of the folds are compiled."""

from collections.abc import Callable
from typing import Any

import numba
from numba import types

_NARROW = (types.int8, types.int16, types.int32, types.uint8, types.uint16, types.uint32)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function, and keep it on disk; integers and constants reach it as int64.

    Numba compiles a function anew for every combination of argument types, among which it counts each
    width of integers and each constant: without this the kernels took twice as long (measured).
    """
    return _compiled(function, is_borrowing=False)


def borrowing_kernel(function: Callable[..., Any]) -> Any:
    """The same for a function that works on the arrays it is given, and makes none.

    Numba need not count the references to them then, which took three quarters of the tracking walk (measured).
    """
    return _compiled(function, is_borrowing=True)


def _compiled(function: Callable[..., Any], *, is_borrowing: bool) -> Any:
    compiled = numba.njit(cache=True, _nrt=not is_borrowing)(function)
    if not numba.config.DISABLE_JIT:
        resolve = compiled.get_call_template
        compiled.get_call_template = lambda args, kws: resolve(
            [_widened(kind) for kind in args], {name: _widened(kind) for name, kind in kws.items()}
        )
    return compiled


def _widened(kind: Any) -> Any:
    """The type that stands for another one."""
    kind = types.unliteral(kind)
    if isinstance(kind, types.BaseTuple) and not isinstance(kind, types.BaseNamedTuple):
        return types.Tuple([_widened(part) for part in kind])
    return types.int64 if kind in _NARROW else kind
