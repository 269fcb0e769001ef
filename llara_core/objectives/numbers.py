"""Refusing a model that computes no numbers, whose choice would look like any other."""

from torch import Tensor

from llara_core.errors import ModelError


def require_finite(scores: Tensor) -> None:
    """Check a model's scores, in any shape.

    Raises:
        ModelError: one of them is infinite or not a number.
    """
    if not (finite := scores.isfinite()).all():
        raise ModelError(
            f"the language model's scores must be finite numbers, got {scores[~finite][0].item()}; check the weights, "
            "or load it with a dtype of more range"
        )
