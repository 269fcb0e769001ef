"""A language model whose frozen weights are divided among processes: fully sharded data parallelism.

As in ZeRO-3 (Rajbhandari et al., arXiv 1910.02054), a layer is whole for as long as it works. What is trained isn't
divided: LoRA and the projector are a hundredth of the model, and stay plain tensors that every process has.
"""

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from llara_core.errors import ModelError
from llara_core.hybrid.zero3 import is_partitioned, partition_frozen
from llara_core.runtime.compute import meet_others
from llara_core.runtime.division import Division
from llara_core.runtime.processes import n_processes


def divide_frozen(llm: PreTrainedModel, device: torch.device, by: Division) -> None:
    """Leave on `device` this process's part of the frozen weights of `llm`, a layer at a time, and all that is trained.

    The token embeddings stay whole, for they are read outside the model's own forward pass, and so does a vocabulary
    head that shares their weights. All processes must run every layer equally often.

    Raises:
        ModelError: it isn't known what is a layer of this architecture.
    """
    backbone, embeddings, head = getattr(llm, llm.base_model_prefix), llm.get_input_embeddings(), _own_head(llm)
    names = set(llm._no_split_modules or ())
    layers = [part for part in backbone.modules() if type(part).__name__ in names]
    if not layers:
        raise ModelError(f"{by} needs to know the layers of {type(llm).__name__}, which names none")
    parts = [*layers, *([] if head is None else [head])]
    whole = {weight for weight in llm.parameters() if weight.requires_grad} | set(embeddings.parameters())
    meet_others()
    if by == "FSDP":
        mesh = init_device_mesh(device.type, (n_processes(),))
        for part in [*parts, backbone]:
            fully_shard(part, mesh=mesh, reshard_after_forward=True, ignored_params=whole)
    else:
        partition_frozen(parts, whole, device)
    for tensor in [*llm.parameters(), *llm.buffers()]:
        if not is_part(tensor):
            tensor.data = tensor.data.to(device)


def is_part(weight: Tensor) -> bool:
    """Whether this process has its part of a weight only."""
    return isinstance(weight, DTensor) or is_partitioned(weight)


def _own_head(llm: PreTrainedModel) -> nn.Module | None:
    """The vocabulary head, if it has weights of its own."""
    head, embeddings = llm.get_output_embeddings(), llm.get_input_embeddings()
    return None if head is None or head.weight is embeddings.weight else head
