"""The tuned language model as an ordinary one: LoRA's products added to the weights beside which they were learnt."""

import torch
from peft.tuners.lora import LoraLayer
from transformers import PreTrainedModel

from llara_core.errors import ArtifactError
from llara_core.evaluation.artifacts import Artifacts
from llara_core.hybrid.adapter import load_adapter
from llara_core.hybrid.base_llm import load_base_llm
from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.nf4 import dequantised


def load_merged(artifacts: Artifacts) -> HybridCausalLM:
    """Load the base model's layers that were tuned, in float32 on the CPU, and merge the adapter into them.

    In bfloat16, W + s B A would be rounded to W where the adapter has learnt little. Of a quantised base model W is
    what its 4 bits stand for, beside which the adapter has learnt, not what they were made from.

    Raises:
        ArtifactError: the adapter doesn't fit the base model, or merged weights aren't finite numbers.
        ModelError: the base model can't be loaded.
    """
    manifest = artifacts.manifest
    if manifest.llm.quantization is None:
        base = load_base_llm(manifest.llm.model_copy(update={"dtype": "float32"}), torch.device("cpu"), manifest.layers)
    else:
        base = dequantised(load_base_llm(manifest.llm, torch.device("cpu"), manifest.layers))
    hybrid = load_adapter(artifacts.adapter, manifest, base, artifacts.embeddings.vectors)
    _merge(hybrid.llm, str(artifacts.adapter))
    if kinds := getattr(hybrid.llm.config, "layer_types", None):  # a whole Qwen's or Gemma's, which isn't here
        hybrid.llm.config.layer_types = kinds[: hybrid.llm.config.num_hidden_layers]
    return hybrid


def _merge(llm: PreTrainedModel, name: str) -> None:
    """Do what peft's merge_and_unload(safe_merge=True) does, for a model whose wrapper is gone."""
    for path, layer in [(path, part) for path, part in llm.named_modules() if isinstance(part, LoraLayer)]:
        try:
            layer.merge(safe_merge=True)
        except ValueError as error:
            raise ArtifactError(f"{name}: must give finite weights when merged, {path} has others") from error
        parent, _, last = path.rpartition(".")
        setattr(llm.get_submodule(parent), last, layer.get_base_layer())
    if hasattr(llm, "peft_config"):
        del llm.peft_config
