"""LoRA's product with a backward pass of its own, for speed."""

from typing import Any, cast

import torch
from peft.tuners import lora
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn.functional import linear


class LoraLinear(lora.Linear):
    """peft's layer, which it is but for speed: the same weights, the same result."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Map [*, in] to [*, out]; what isn't plain LoRA in one precision goes peft's way."""
        [adapter] = self.active_adapters if len(self.active_adapters) == 1 else [""]
        is_plain = (
            adapter in self.lora_A
            and not (args or kwargs or self.disable_adapters or self.merged or self.lora_variant)
            and isinstance(self.lora_dropout[adapter], torch.nn.Identity)
            and not torch.is_autocast_enabled(x.device.type)
        )
        if not is_plain:
            return cast("Tensor", super().forward(x, *args, **kwargs))
        base, down, up = self.base_layer, self.lora_A[adapter].weight, self.lora_B[adapter]
        is_constant = not any(weight.requires_grad for weight in base.parameters()) and up.bias is None
        if not (is_constant and x.dtype == base.weight.dtype == down.dtype == up.weight.dtype):
            return cast("Tensor", super().forward(x))
        return cast("Tensor", _LoraProduct.apply(x, base.weight, base.bias, down, up.weight, self.scaling[adapter]))


class _LoraProduct(torch.autograd.Function):
    """y = x Wᵀ + b + s (x Aᵀ) Bᵀ with constants W and b (arXiv 2106.09685).

    What costs time in the plain way isn't the flops of rank r but passes over tensors of the output's size, for the
    scaling, the sum and their gradients, and products of a long and a thin matrix whose layout suits no kernel.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scale: float
    ) -> Tensor:
        rows = _rows(x)
        inner = linear(rows, down)  # [N, r]
        y = linear(rows, weight, bias).addmm_(inner, up.T, alpha=scale)
        ctx.save_for_backward(x, weight, down, up, inner)
        ctx.scale = scale  # type: ignore[attr-defined]
        return y.view(*x.shape[:-1], len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, down, up, inner = ctx.saved_tensors
        rows, outer = _rows(x), _rows(gradients[0])
        grad_inner = linear(outer, up.T.contiguous()).mul_(ctx.scale)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (outer @ weight).addmm_(grad_inner, down).view(x.shape)
        grad_up = (inner.T @ outer).mul_(ctx.scale).T
        return grad_x, None, None, grad_inner.T @ rows, grad_up, None


def _rows(x: Tensor) -> Tensor:
    return x.reshape(x.shape[:-1].numel(), x.shape[-1])
