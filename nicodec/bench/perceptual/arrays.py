"""A pickle that holds nothing but arrays of float32 -> these arrays, without unpickling it.

Under `weights`. A pickle is a program for a small machine. This machine knows numbers, text, bytes, tuples, dicts and
one way to make an array, so a hostile file can at most be refused.
"""

from __future__ import annotations

import math
import pickletools
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nicodec.errors import BadModel

# Arrays by name; a dict within a dict stands for the parts of a network.
Tree: TypeAlias = "dict[str, Tree | npt.NDArray[np.float32]]"

_MAKER, _ARRAY, _DTYPE = "numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_LITERALS = ("BININT", "BININT1", "BININT2", "BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES")
# Dicts within dicts, at most. Networks have three or four.
_DEEPEST = 16
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Named(str):
    """The name of one of the three things of NumPy that a pickle of arrays asks for."""


class _Dtype:
    """A type of samples that is still without its byte order."""


class _Mark:
    """The place on the stack where a tuple or the items of a dict begin."""


class _Unfilled:
    """An array that is still without its shape and its numbers."""

    array: npt.NDArray[np.float32] | None = None


def read(data: bytes) -> Tree:
    """The arrays of a pickle, float32, by name. Raises BadModel for all that is no pickle of a dict of such arrays."""
    try:
        found = _run(data)
        if not isinstance(found, dict):
            raise ValueError("it is no table of names")
        return _filled(found)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise BadModel(f"not a pickle of arrays alone: {error}") from None


def _run(data: bytes) -> Any:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for op, argument, _ in pickletools.genops(data):
        name, place = op.name, argument if isinstance(argument, int) else 0
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "MARK":
            stack.append(_Mark())
        elif name == "TUPLE":
            stack.append(tuple(_above_mark(stack)))
        elif name in _TUPLES:
            items = [stack.pop() for _ in range(_TUPLES[name])]
            stack.append(tuple(reversed(items)))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[place] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[place])
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _add(stack[-1], key, value)
        elif name == "SETITEMS":
            items = _above_mark(stack)
            for key, value in zip(items[::2], items[1::2], strict=True):
                _add(stack[-1], key, value)
        elif name == "GLOBAL" and argument in (_MAKER, _ARRAY, _DTYPE):
            stack.append(_Named(argument))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_made(function, arguments))
        elif name == "BUILD":
            state = stack.pop()
            _build(stack[-1], state)
        elif name == "STOP":
            (result,) = stack
            return result
        elif name != "PROTO":
            raise ValueError(f"it asks for {name} {argument!r:.60}")
    raise ValueError("it has no end")


def _above_mark(stack: list[Any]) -> list[Any]:
    at = next(i for i in range(len(stack) - 1, -1, -1) if isinstance(stack[i], _Mark))
    items = stack[at + 1 :]
    del stack[at:]
    return items


def _add(table: Any, key: Any, value: Any) -> None:
    if type(table) is not dict or type(key) is not str or value is table:
        raise ValueError("a name is missing")
    table[key] = value


def _made(function: Any, arguments: Any) -> Any:
    if function == _MAKER and arguments == (_ARRAY, (0,), b"b") and isinstance(function, _Named):
        return _Unfilled()
    if function == _DTYPE and arguments == ("f4", False, True) and isinstance(function, _Named):
        return _Dtype()
    raise ValueError("it calls something")


def _build(thing: Any, state: Any) -> None:
    if isinstance(thing, _Dtype) and state == (3, "<", None, None, None, -1, -1, 0):
        return
    if not isinstance(thing, _Unfilled) or thing.array is not None:
        raise ValueError("it fills something that is no array")
    version, shape, dtype, fortran, numbers = state
    whole = all(type(side) is int and 0 < side <= 1 << 16 for side in shape)
    if version != 1 or not isinstance(dtype, _Dtype) or type(fortran) is not bool or len(shape) > 4 or not whole:
        raise ValueError("an array has an impossible shape")
    if type(numbers) is not bytes or len(numbers) != 4 * math.prod(shape):
        raise ValueError("an array has too few or too many numbers")
    thing.array = np.frombuffer(numbers, "<f4").reshape(shape, order="F" if fortran else "C").astype(np.float32)


def _filled(table: dict[str, Any], depth: int = 1) -> Tree:
    if depth > _DEEPEST:
        raise ValueError("its tables lie too deep in each other")
    result: Tree = {}
    for name, value in table.items():
        if type(value) is dict:
            result[name] = _filled(value, depth + 1)
        elif isinstance(value, _Unfilled) and value.array is not None:
            result[name] = value.array
        else:
            raise ValueError(f"{name!r:.60} is no array")
    return result
