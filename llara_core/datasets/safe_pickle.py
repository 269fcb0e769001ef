"""Reading pickles of others as mere structure: no name in them is resolved, nothing that they name is called or built.

A pickle is a program that calls importable things by name. Even harmless ones, such as numpy.ndarray, do harm with
forged arguments. Here each allowed name stands for a record of the arguments that it was called with, and every other
name is refused. What the records mean is for their reader to check (`pickled_frame`).
"""

import io
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from llara_core.datasets.text_lines import existing
from llara_core.errors import DataError

_MOST_BYTES = 1 << 26  # a byte may become an object of a hundred bytes


class Record:
    """What a pickle wanted to build: `args` of the call, and `state` that it was given afterwards.

    Its class, made for one name, is all that a pickle gets hold of. With `__setstate__` and without a `__dict__`,
    neither the class nor the record can be changed otherwise.
    """

    __slots__ = ("args", "state")
    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> Self:
        """Keep the arguments, for NEWOBJ as for a call."""
        record = super().__new__(cls)
        record.args, record.state = args, None
        return record

    def __setstate__(self, state: Any) -> None:
        """Keep the state."""
        self.state = state


def stand_in(name: str) -> type[Record]:
    """Return a class of records for what is called `name`."""
    return type(name, (Record,), {"__slots__": ()})


def _require_plain_keys(keys: Sequence[Any]) -> None:
    """Let nothing nested be hashed: that takes time without end, or more stack than there is."""
    if strange := [key for key in keys if type(key) not in (str, bytes, int, float, bool, type(None))]:
        raise pickle.UnpicklingError(f"a {type(strange[0]).__name__} is not allowed as a key")


class _Unpickler(pickle._Unpickler):  # the one in C reserves as much memory as a forged index of its memo tells it to
    stack: list[Any]

    def __init__(self, content: bytes, allowed: Mapping[tuple[str, str], type[Record]]) -> None:
        super().__init__(io.BytesIO(content))
        self._allowed = allowed

    def load_setitem(self) -> None:
        """Put one entry into a dict."""
        _require_plain_keys(self.stack[-2:-1])
        super().load_setitem()  # type: ignore[misc]

    def load_setitems(self) -> None:
        """Put the entries since the last mark into a dict."""
        _require_plain_keys(self.stack[::2])
        super().load_setitems()  # type: ignore[misc]

    def load_dict(self) -> None:
        """Make a dict of the entries since the last mark."""
        _require_plain_keys(self.stack[::2])
        super().load_dict()  # type: ignore[misc]

    def refuse_sets(self) -> None:
        """Frames hold none, and their elements would be hashed."""
        raise pickle.UnpicklingError("sets are not allowed")

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        pickle.EMPTY_SET[0]: refuse_sets,
        pickle.ADDITEMS[0]: refuse_sets,
        pickle.FROZENSET[0]: refuse_sets,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (found := self._allowed.get((module, name))) is None:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return found


def read_records(path: Path, allowed: Mapping[tuple[str, str], type[Record]]) -> Any:
    """Return what is pickled at `path`, with a record wherever something was to be built by (module, name).

    Raises:
        DataError: the file is missing, too large or broken, or names what isn't allowed.
    """
    if (size := existing(path).stat().st_size) > _MOST_BYTES:
        raise DataError(f"{path}: must have at most {_MOST_BYTES} bytes, got {size}")
    try:
        return _Unpickler(path.read_bytes(), allowed).load()
    except pickle.UnpicklingError as error:
        raise DataError(f"{path}: must be a pickled frame of plain columns: {error}") from error
    except Exception as error:  # a forged program can fail in any way
        raise DataError(f"{path}: not a complete pickled frame ({type(error).__name__}: {error})") from error
