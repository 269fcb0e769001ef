"""Masks of one's own making, in the form in which each family's layers take them."""

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from llara_core.hybrid.families import FAMILIES


def attention_masks(
    config: PreTrainedConfig, visible: Tensor, distance: Tensor, dtype: torch.dtype
) -> Tensor | dict[str, Tensor]:
    """Return what the model takes as `attention_mask`, its sliding windows in it.

    transformers passes a mask of four dimensions on to every layer as it is. One that says who sees whom alone would
    let layers with a window see as far as those without.

    Args:
        config: of a family of FAMILIES.
        visible: [B, N, S] bool, whether a token sees another.
        distance: [B, N, S] how many places of its text a token stands behind another.
        dtype: of the masks, which are added to attention's scores.

    Returns:
        [B, 1, N, S], or one such for each kind of layer, by transformers' names.
    """
    windows, window = FAMILIES[config.model_type], getattr(config, "sliding_window", None)
    whole = _added(visible, dtype)
    if windows == "none" or window is None:
        return {"full_attention": whole} if windows == "by_layer" else whole
    near = _added(visible & (distance < window), dtype)
    return {"full_attention": whole, "sliding_attention": near} if windows == "by_layer" else near


def _added(visible: Tensor, dtype: torch.dtype) -> Tensor:
    blocked = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return blocked.masked_fill(~visible, torch.finfo(dtype).min)[:, None]
