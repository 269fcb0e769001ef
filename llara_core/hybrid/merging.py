"""LoRA's products added to the weights beside which they were learnt, so that asking pays nothing for them."""

from peft.tuners.lora import LoraLayer
from torch import nn
from transformers import PreTrainedModel

from llara_core.errors import ArtifactError


def merge_lora(llm: PreTrainedModel, name: str) -> None:
    """Do what peft's merge_and_unload(safe_merge=True) does, for a model whose wrapper is gone.

    Only in float32: in bfloat16, W + s B A would be rounded to W where the adapter has learnt little.

    Args:
        llm: holds LoRA layers; afterwards it holds plain ones.
        name: of the adapter, for errors.

    Raises:
        ArtifactError: merged weights aren't finite numbers.
    """
    _untie(llm)
    for path, layer in [(path, part) for path, part in llm.named_modules() if isinstance(part, LoraLayer)]:
        try:
            layer.merge(safe_merge=True)
        except ValueError as error:
            raise ArtifactError(f"{name}: must give finite weights when merged, {path} has others") from error
        parent, _, last = path.rpartition(".")
        setattr(llm.get_submodule(parent), last, layer.get_base_layer())
    if hasattr(llm, "peft_config"):
        del llm.peft_config


def _untie(llm: PreTrainedModel) -> None:
    """Give vocabulary head and embeddings a matrix each, if they share one that an adapter changes for one of them."""
    ends = (llm.get_input_embeddings(), llm.get_output_embeddings())
    bare = [end.get_base_layer() if isinstance(end, LoraLayer) else end for end in ends]
    if bare[0].weight is bare[1].weight and any(isinstance(end, LoraLayer) for end in ends):
        bare[1].weight = nn.Parameter(bare[0].weight.detach().clone(), requires_grad=False)
        llm.config.tie_word_embeddings = False  # or who saves and loads it would tie them again
