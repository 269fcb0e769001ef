"""Training curves as CSV, the form that DVC plots."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from llara_core.runtime.files import atomic_file


def write_curve(path: Path, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Write one line per row; floats keep six significant digits, and keys that aren't in `columns` are left out."""
    with atomic_file(path) as temporary:
        pd.DataFrame(list(rows), columns=list(columns)).to_csv(temporary, index=False, float_format="%.6g")
