"""The columns of a pickled pandas frame, told from its structure alone; neither pandas nor NumPy unpickles anything."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from llara_core.datasets.safe_pickle import Record, read_records, stand_in
from llara_core.errors import DataError

_FRAME, _INDEX, _RANGE = stand_in("DataFrame"), stand_in("Index"), stand_in("RangeIndex")
_MANAGER, _BLOCK, _NEW_INDEX = stand_in("BlockManager"), stand_in("_unpickle_block"), stand_in("_new_Index")
_SLICE, _DTYPE, _NDARRAY = stand_in("slice"), stand_in("dtype"), stand_in("ndarray")
_RECONSTRUCT, _FROMBUFFER, _SCALAR = stand_in("_reconstruct"), stand_in("_frombuffer"), stand_in("scalar")

_NAMES = {
    ("builtins", "slice"): _SLICE,
    ("numpy", "dtype"): _DTYPE,
    ("numpy", "ndarray"): _NDARRAY,
    ("pandas", "DataFrame"): _FRAME,  # where pandas 3 says that they are from
    ("pandas", "Index"): _INDEX,
    ("pandas", "RangeIndex"): _RANGE,
    ("pandas.core.frame", "DataFrame"): _FRAME,
    ("pandas.core.indexes.base", "Index"): _INDEX,
    ("pandas.core.indexes.base", "_new_Index"): _NEW_INDEX,
    ("pandas.core.indexes.range", "RangeIndex"): _RANGE,
    ("pandas.core.internals.managers", "BlockManager"): _MANAGER,
    ("pandas._libs.internals", "_unpickle_block"): _BLOCK,
}
for _core in ("numpy.core", "numpy._core"):  # before numpy 2, and since
    _NAMES[_core + ".multiarray", "_reconstruct"] = _RECONSTRUCT
    _NAMES[_core + ".multiarray", "scalar"] = _SCALAR
    _NAMES[_core + ".numeric", "_frombuffer"] = _FROMBUFFER

_NUMBER = re.compile(r"[iuf][1248]|b1")
_PLAIN = (int, float, str, bool, type(None))


class _Unfit(Exception):  # noqa: N818
    """The structure isn't that of a frame of plain columns."""


def read_frame(path: Path) -> dict[str, list[Any]]:
    """Return the columns of the frame that is pickled at `path`: plain values, or lists of plain values, by row.

    Raises:
        DataError: the file is missing or broken, holds something else, or names what isn't allowed.
    """
    frame = read_records(path, _NAMES)
    if not isinstance(frame, _FRAME):
        raise DataError(f"{path}: must be a pickled pandas frame, got {type(frame).__name__}")
    try:
        return _Decoder(path.stat().st_size).columns(frame)
    except _Unfit as error:
        raise DataError(f"{path}: must be a pickled pandas frame of plain columns: {error}") from error


def _require(condition: object, expectation: str) -> None:
    if not condition:
        raise _Unfit(f"must {expectation}")


class _Decoder:
    """Takes a frame's records apart.

    One list may stand in any number of places, so that a small file could say endlessly much: no more values than the
    file has bytes are taken.
    """

    def __init__(self, most_values: int) -> None:
        self._left = most_values

    def columns(self, frame: Record) -> dict[str, list[Any]]:
        manager = frame.state.get("_mgr") if isinstance(frame.state, dict) else None
        if not (isinstance(manager, _MANAGER) and len(manager.args) == 2):
            raise _Unfit("must have a manager of blocks and axes")
        blocks, axes = manager.args
        _require(isinstance(blocks, tuple) and isinstance(axes, list) and len(axes) == 2, "have blocks and two axes")
        names = self._column_names(axes[0])
        columns: dict[int, list[Any]] = {}
        for block in blocks:
            _require(isinstance(block, _BLOCK) and len(block.args) == 3, "be made of blocks")
            values, places = self._rows(block.args[0]), self._places(block.args[1], len(names))
            _require(len(values) == len(places), "have a place for each column of a block")
            _require(not columns.keys() & set(places), "have every column once")
            columns.update(zip(places, values, strict=True))
        _require(len(columns) == len(names), "have every column")
        _require(len({len(column) for column in columns.values()}) <= 1, "have columns of one length")
        return {name: columns[place] for place, name in enumerate(names)}

    def _column_names(self, index: Any) -> list[str]:
        is_index = isinstance(index, _NEW_INDEX) and len(index.args) == 2 and index.args[0] is _INDEX
        _require(is_index and isinstance(index.args[1], dict), "have an index of column names")
        rows = self._rows(index.args[1].get("data"))
        _require(len(rows) == 1 and all(isinstance(name, str) for name in rows[0]), "have texts as column names")
        _require(len(set(rows[0])) == len(rows[0]), "have different column names")
        return rows[0]

    def _places(self, where: Any, n: int) -> range | list[int]:
        """Return the places of a block's columns among `n`."""
        if isinstance(where, _SLICE):
            start, stop, step = where.args if len(where.args) == 3 else (None, None, 0)
            # Of every fifth of six columns, pandas says slice(0, 10, 5).
            _require(all(part is None or _is_natural(part, 2 * n) for part in (start, stop)), "have places in range")
            _require(type(step) is int and 0 < abs(step) <= n, "have places a step apart")
            return range(*slice(start, stop, step).indices(n))
        rows = self._rows(where)
        _require(len(rows) == 1 and all(_is_natural(place, n - 1) for place in rows[0]), "have places in range")
        return rows[0]

    def _rows(self, array: Any) -> list[list[Any]]:
        """Return the rows of an array [R, C], or the one row of an array [C], as plain values."""
        data, dtype, shape, is_fortran = _parts(array)
        _require(isinstance(shape, tuple) and len(shape) in (1, 2), "have arrays of one or two dimensions")
        _require(all(_is_natural(length, self._left) for length in shape), "have arrays no larger than itself")
        n_rows, n = (1, *shape)[-2:]
        code, size = _type_code(dtype)
        self._spend(n_rows * max(n, 1))
        if code == "O":
            # The objects stand in the order of their indexes, whatever the order of the array's memory.
            _require(isinstance(data, list) and len(data) == n_rows * n, "have as many objects as its shape says")
            cells = [self._cell(cell) for cell in data]
            return [cells[row * n : (row + 1) * n] for row in range(n_rows)]
        _require(isinstance(data, bytes | bytearray), "have numbers as bytes")
        _require(len(data) == size * n_rows * n, "have as many numbers as its shape says")
        numbers = np.frombuffer(data, code).reshape((n_rows, n), order="F" if is_fortran else "C")
        return [row.tolist() for row in numbers]

    def _cell(self, cell: Any) -> Any:
        if isinstance(cell, list):
            self._spend(len(cell))
            return [_value(value) for value in cell]
        if isinstance(cell, _RECONSTRUCT | _FROMBUFFER):
            _require(_type_code(_parts(cell)[1])[0] != "O", "have numbers in the arrays in its cells")
            rows = self._rows(cell)
            _require(len(rows) == 1, "have lists of values in its cells")
            return rows[0]
        return _value(cell)

    def _spend(self, n_values: int) -> None:
        self._left -= n_values
        _require(self._left >= 0, "have no more values than bytes")


def _is_natural(value: Any, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _parts(array: Any) -> tuple[Any, Any, Any, bool]:
    """Return content, type and shape of an array, and whether its first index runs fastest."""
    if isinstance(array, _RECONSTRUCT):
        _require(isinstance(array.state, tuple) and len(array.state) == 5, "have arrays with their state")
        _, shape, dtype, is_fortran, data = array.state
        return data, dtype, shape, is_fortran is True
    _require(isinstance(array, _FROMBUFFER) and len(array.args) == 4, "have arrays with their content")
    data, dtype, shape, order = array.args
    return data, dtype, shape, order == "F"


def _type_code(dtype: Any) -> tuple[str, int]:
    """Return NumPy's code of a type, `O` for objects, and its size in bytes."""
    _require(isinstance(dtype, _DTYPE) and len(dtype.args) == 3 and isinstance(dtype.args[0], str), "have plain types")
    name, state = dtype.args[0], dtype.state
    # Version, byte order; subtype, names and fields of compounds; size and alignment of what is no number; flags.
    _require(
        isinstance(state, tuple) and len(state) == 8 and state[2:7] == (None, None, None, -1, -1), "have plain types"
    )
    if name in ("O", "O8"):
        return "O", 0
    _require(_NUMBER.fullmatch(name) and state[1] in ("<", ">", "|", "="), "have numbers or objects, no other types")
    return state[1] + name, int(name[1:])


def _value(value: Any) -> Any:
    """Return a plain value; of NumPy's scalars, those that are numbers."""
    if isinstance(value, _SCALAR):
        _require(len(value.args) == 2 and isinstance(value.args[1], bytes), "have scalars with their bytes")
        code, size = _type_code(value.args[0])
        _require(code != "O" and len(value.args[1]) == size, "have numbers as scalars")
        return np.frombuffer(value.args[1], code)[0].item()
    _require(type(value) in _PLAIN, f"have plain values or lists of them in its cells, got {type(value).__name__}")
    _require(type(value) is not int or -(2**63) <= value < 2**63, "have whole numbers of 64 bits")
    return value
