"""A GPU whose memory isn't enough, in one line that says what to change."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from llara_core.errors import ModelError
from llara_core.params.params import Params


@contextmanager
def explained_shortage(params: Params) -> Iterator[None]:
    """Turn what torch raises inside the block, when a GPU's memory is used up, into an error for people.

    Nothing is tried again with smaller micro-batches: their rounding and their masks of dropout differ, and a run is to
    give the same twice.

    Raises:
        ModelError: it was used up.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        rows, field = params.selected_objective.rows, f"objectives.{params.train.objective.name}.micro_batch_size"
        smaller = f"set {field} to a divisor of batch_size below {rows}" if rows > 1 else f"{field} is 1 already"
        checkpointing = "" if params.train.gradient_checkpointing else ", or train.gradient_checkpointing to true"
        raise ModelError(
            f"the GPU's memory is used up ({str(error).strip().splitlines()[0]}); {smaller}{checkpointing}; "
            "`llara plan` says what each change gives"
        ) from error
