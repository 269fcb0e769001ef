"""A language model whose frozen weights are divided among processes: fully sharded data parallelism.

As in ZeRO-3 (Rajbhandari et al., arXiv 1910.02054), a layer is whole for as long as it works. What is trained isn't
divided: LoRA and the projector are a hundredth of the model, and stay plain tensors that every process has.
"""

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedModel

from llara_core.errors import ModelError
from llara_core.runtime.compute import meet_others
from llara_core.runtime.processes import n_processes


def divide_frozen(llm: PreTrainedModel, device: torch.device) -> None:
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
        raise ModelError(f"FSDP needs to know the layers of {type(llm).__name__}, which names none")
    meet_others()
    mesh = init_device_mesh(device.type, (n_processes(),))
    whole = {weight for weight in llm.parameters() if weight.requires_grad} | set(embeddings.parameters())
    for part in [*layers, backbone, *([] if head is None else [head])]:
        fully_shard(part, mesh=mesh, reshard_after_forward=True, ignored_params=whole)
    for weight in [*whole, *llm.buffers()]:
        weight.data = weight.data.to(device)


def _own_head(llm: PreTrainedModel) -> nn.Module | None:
    """The vocabulary head, if it has weights of its own."""
    head, embeddings = llm.get_output_embeddings(), llm.get_input_embeddings()
    return None if head is None or head.weight is embeddings.weight else head
