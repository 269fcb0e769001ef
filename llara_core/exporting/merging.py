"""The tuned language model as an ordinary one."""

import torch

from llara_core.evaluation.artifacts import Artifacts
from llara_core.hybrid.adapter import load_adapter
from llara_core.hybrid.base_llm import load_base_llm
from llara_core.hybrid.merging import merge_lora
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
        single = manifest.llm.model_copy(update={"dtype": "float32"})
        base = load_base_llm(single, torch.device("cpu"), manifest.layers, may_stand_in=True)
    else:
        base = dequantised(load_base_llm(manifest.llm, torch.device("cpu"), manifest.layers, may_stand_in=True))
    hybrid = load_adapter(artifacts.adapter, manifest, base, artifacts.embeddings.vectors)
    merge_lora(hybrid.llm, str(artifacts.adapter))
    return hybrid
