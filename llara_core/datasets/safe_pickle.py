"""Reading pickled pandas frames of others without letting them run anything.

A pickle is a program that may call any importable function. This reader resolves only the names that rebuild frames of
numbers, texts and lists, and refuses every other name before it could be called.
"""

import importlib
import pickle
from pathlib import Path
from typing import Any

import pandas as pd

from llara_core.errors import DataError

_ALLOWED = {
    "builtins": {"slice"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "pandas": {"DataFrame", "Index", "RangeIndex"},  # where pandas 3 says that they are from
    "pandas._libs.internals": {"_unpickle_block"},
    "pandas.core.frame": {"DataFrame"},
    "pandas.core.indexes.base": {"Index", "_new_Index"},
    "pandas.core.indexes.range": {"RangeIndex"},
    "pandas.core.internals.managers": {"BlockManager"},
}


class _FrameUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core.", "numpy._core.")  # its name before numpy 2
        if name not in _ALLOWED.get(module, ()):
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return getattr(importlib.import_module(module), name)


def read_frame(path: Path) -> pd.DataFrame:
    """Return the pandas frame that is pickled at `path`.

    Raises:
        DataError: the file is missing or broken, holds something else, or wants to call what isn't allowed.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; run `dvc repro fetch`")
    try:
        with path.open("rb") as file:
            frame = _FrameUnpickler(file).load()
    except pickle.UnpicklingError as error:
        raise DataError(f"{path}: must be a pickled frame of plain columns: {error}") from error
    except (EOFError, ValueError, TypeError, AttributeError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a complete pickled frame ({type(error).__name__}: {error})") from error
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{path}: must be a pickled pandas frame, got {type(frame).__name__}")
    return frame
