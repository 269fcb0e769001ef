"""What an artifact was made from: digests that it carries and that its readers compare with what they have at hand."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llara_core.errors import ArtifactError

Lineage = dict[str, str]
"""Name of an artifact (items, sequences, recommender, …) → SHA-256 of its content."""


def digest_of(*columns: np.ndarray | pa.StringArray) -> str:
    """SHA-256 of columns of numbers or texts, whatever file they come from; other types or lengths differ too."""
    digest = hashlib.sha256()
    for column in columns:
        if isinstance(column, np.ndarray):
            little_endian = np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("<"))
            digest.update(f"{little_endian.dtype.str}{little_endian.shape}".encode())
            digest.update(little_endian.data)
        else:
            digest.update(f"text({len(column)})".encode())
            digest.update(pc.binary_length(column).to_numpy(zero_copy_only=False).astype("<i8").tobytes())
            digest.update("".join(column.to_pylist()).encode())
    return digest.hexdigest()


def require_lineage(
    path: Path, found: Mapping[str, str], expected: Mapping[str, str], remedy: str = "run `dvc repro`"
) -> None:
    """Refuse an artifact that was made from something else than what stands beside it now.

    Args:
        path: of the artifact.
        found: what it says it was made from.
        expected: digests of what is at hand; what the artifact says beyond them isn't looked at.
        remedy: what the user can do.

    Raises:
        ArtifactError: naming everything that differs.
    """
    if differing := [name for name, digest in expected.items() if found.get(name) != digest]:
        details = ", ".join(
            f"{name} must have digest {expected[name][:12]}…, got {found.get(name, 'none')[:12]}…" for name in differing
        )
        raise ArtifactError(
            f"{path}: was made from other {' and '.join(differing)} than those at hand: {details}; {remedy}"
        )
