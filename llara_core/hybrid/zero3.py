"""Frozen weights in parts by DeepSpeed's ZeRO-3, and put together for the layer that works.

DeepSpeed partitions and gathers; when, is said here. Its own hooks would partition what is trained too. They follow the
order in which modules work, module by module, which must be every process's, backwards too: it isn't where the first
projections have a gradient to hand on in a micro-batch with behavioural tokens, and none in one of text.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn


def partition_frozen(parts: Sequence[nn.Module], whole: set[nn.Parameter], device: torch.device) -> None:
    """Leave on `device` this process's share of the weights of `parts`, but for those in `whole`.

    One part is whole at a time, from when it begins to work, forwards or backwards, until another one does. So the one
    with which a forward pass ends isn't put together anew for the backward pass.
    """
    os.environ.setdefault("DS_ACCELERATOR", device.type)  # or it warns where there is no GPU
    from deepspeed import ops, zero  # not at the top: it needs seconds, and need not be installed

    ops.__compatible_ops__ = {}  # or it compiles, on a CPU, what nobody will use
    gathered = _Gathered()
    for part in parts:
        weights = [weight for weight in part.parameters() if weight not in whole]
        zero.Init(module=nn.ParameterList(weights), mem_efficient_linear=False)  # True: in every nn.Linear
        for module in part.modules():
            if type(module) is nn.Linear and not whole & set(module.parameters()):
                module.forward = partial(_product, module)  # type: ignore[method-assign]
        part.register_forward_pre_hook(lambda *_, own=weights: gathered.only(own))
        part.register_forward_hook(lambda _, __, output, own=weights: _before_backward(output, gathered, own))


def is_partitioned(weight: Tensor) -> bool:
    """Whether a weight is one of those of which each process has a share."""
    return hasattr(weight, "ds_tensor")


class _Gathered:
    """The weights that are whole, of one part at most."""

    def __init__(self) -> None:
        self._weights: list[nn.Parameter] = []
        self._end = ExitStack()

    def only(self, weights: list[nn.Parameter]) -> None:
        """Have these whole and no others."""
        from deepspeed import zero

        if weights is self._weights:
            return
        self._end.close()
        self._end.enter_context(zero.GatheredParameters(weights))
        self._weights = weights


def _before_backward(output: Tensor | tuple[object, ...], gathered: _Gathered, weights: list[nn.Parameter]) -> None:
    """Gather a part's weights when the gradient of what it has put out is there."""
    for tensor in (output,) if isinstance(output, Tensor) else output:
        if isinstance(tensor, Tensor) and tensor.requires_grad:
            tensor.register_hook(lambda _: gathered.only(weights))


def _product(module: nn.Linear, x: Tensor) -> Tensor:
    """Map [*, in] to [*, out]; unlike nn.Linear's, this doesn't keep the gathered weight for the backward pass.

    Torch would save a view of it, and so all layers would be whole at the end of a forward pass.
    """
    from deepspeed.runtime.zero.linear import zero3_linear_wrap

    return cast("Tensor", zero3_linear_wrap(x, module.weight, module.bias))
