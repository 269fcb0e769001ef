"""What finetuning leaves behind: a plain peft adapter, the projector, and all that rebuilds the prompt."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, cast

import numpy as np
import peft
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from llara_core.errors import ArtifactError, ParamsError
from llara_core.hybrid.base_llm import name_of
from llara_core.hybrid.lora_linear import LoraLinear
from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.nf4 import is_quantised
from llara_core.hybrid.projector import Projector, build_projector
from llara_core.params.base import PositiveInt, Section
from llara_core.params.datasets import Nouns
from llara_core.params.loading import describe_problems
from llara_core.params.objectives import ObjectiveName
from llara_core.params.projector import Fusion
from llara_core.params.projector import Projector as ProjectorParams
from llara_core.params.sections import Llm, Lora, Prompt
from llara_core.prompting.chat import ChatFrame
from llara_core.prompting.segments import Mode, latest_mode
from llara_core.runtime.files import write_json
from llara_core.runtime.seal import require_seal, seal
from llara_core.tables.lineage import Lineage, require_lineage

_MANIFEST, _PROJECTOR = "llara.json", "projector.safetensors"
HEAD = "head.safetensors"
ITEM_VECTORS = "item_vectors"
"""In a head: [n + 1, D], where not all are the recommender's."""
_SOME = 1024  # tokens, of a vocabulary that can have a quarter of a million
_LORA, _CONFIG = "adapter_model.safetensors", "adapter_config.json"


class AdapterManifest(Section):
    """Everything besides weights that turns the adapter back into the model that was trained."""

    llm: Llm
    objective: ObjectiveName
    layers: PositiveInt | None
    prompt: Prompt
    chat: ChatFrame | None
    nouns: Nouns
    history_length: PositiveInt
    projector: ProjectorParams
    fusion: Fusion
    modes: list[Mode]
    made_from: Lineage

    def choose_mode(self, wanted: Mode | Literal["as_trained"]) -> Mode:
        """Return how to ask: as wanted, or as the last steps of training did.

        Raises:
            ArtifactError: no step of training has asked so, and what it takes is untrained: the projector, or in an
                objective with a head that head. The language model itself reads text without having been tuned on it.
        """
        if wanted == "as_trained":
            return latest_mode(self.modes)
        if wanted not in self.modes and not (wanted == "text" and self.objective == "answer"):
            raise ArtifactError(
                f"eval.mode must be as_trained or {' or '.join(self.modes)}, as in the training of this adapter, got "
                f"{wanted}"
            )
        return wanted


def attach_lora(llm: PreTrainedModel, lora: Lora, base: Llm, layers: int | None = None) -> peft.PeftModel:
    """Put freshly initialised LoRA weights beside the named linear layers of the frozen `llm` (arXiv 2106.09685).

    Where only the lower `layers` of the base model are there, the adapter says so, and fits the whole one too.

    Raises:
        ParamsError: one of the names is no layer's.
    """
    within = {} if layers is None else {"layers_to_transform": list(range(layers))}
    config = peft.LoraConfig(
        task_type=peft.TaskType.CAUSAL_LM,
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=_linear_names(llm) if within and lora.targets == "all-linear" else lora.targets,
        **within,
    )
    _use_own_layers(config, llm)
    wrong = f"lora.targets must name linear layers of the model ({', '.join(_linear_names(llm))}), got "
    try:
        adapted = peft.get_peft_model(llm, config)
    except ValueError as error:
        raise ParamsError(f"{wrong}{lora.targets}") from error
    if lora.targets != "all-linear" and (unknown := _not_among(lora.targets, adapted.base_model.targeted_module_names)):
        raise ParamsError(f"{wrong}{unknown}")  # peft leaves them out: misspelt, or outside the lower layers
    adapted.peft_config["default"].base_model_name_or_path = name_of(base)
    return adapted


def _use_own_layers(config: peft.LoraConfig, llm: PreTrainedModel) -> None:
    """Take our product beside plain linear maps; beside maps of 4 bits, which are nn.Linear too, peft's own."""
    if not is_quantised(llm):
        config._register_custom_module({nn.Linear: LoraLinear})


def _not_among(targets: list[str], adapted: list[str]) -> list[str]:
    """Those that aren't the end of any name of an `adapted` layer."""
    return [target for target in targets if not any(f".{name}".endswith(f".{target}") for name in adapted)]


def _linear_names(llm: PreTrainedModel) -> list[str]:
    """What peft means by all-linear, which it doesn't combine with a choice of layers."""
    head = llm.get_output_embeddings()
    linear = [name for name, part in llm.named_modules() if isinstance(part, nn.Linear | Conv1D) and part is not head]
    return sorted({name.rsplit(".", 1)[-1] for name in linear})


def build_hybrid(
    llm: PreTrainedModel, item_embeddings: np.ndarray, projector: ProjectorParams, fusion: Fusion
) -> HybridCausalLM:
    """Join a language model with a fresh projector, sized to its token embeddings, on the language model's device."""
    embedding = llm.get_input_embeddings()
    tokens, vectors = embedding.weight, torch.from_numpy(item_embeddings)
    fresh = build_projector(projector, fusion, item_embeddings.shape[1], tokens.shape[1])
    stored = float(tokens.detach().float().square().mean().sqrt())
    fresh.calibrate(vectors[1:], stored * _embedding_scale(embedding))
    # Not the whole: a language model that processes divide isn't moved once it is divided.
    return HybridCausalLM(llm, fresh.to(tokens.device), fusion.kind, vectors.to(tokens.device))


@torch.no_grad()
def _embedding_scale(embedding: nn.Module) -> float:
    """How many times as large as they are stored embeddings are read: about √H in a Gemma, 1 elsewhere."""
    stored = cast("Tensor", embedding.weight)[:_SOME]
    read = embedding(torch.arange(len(stored), device=stored.device))
    return float(read.float().norm() / stored.float().norm())


def save_adapter(
    folder: Path,
    adapted: peft.PeftModel,
    projector: Projector,
    manifest: AdapterManifest,
    head: Mapping[str, Tensor] | None = None,
) -> None:
    """Write adapter_config.json and adapter_model.safetensors (as peft does), projector.safetensors and llara.json.

    An objective's own weights go to head.safetensors. The digests of all are listed beside them (sha256.json).
    """
    # False: the vocabulary is the base model's; peft would look on the hub to find that out.
    adapted.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card
    config = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    # A set to peft, which writes it in another order in every process.
    config["target_modules"] = sorted(config["target_modules"])
    write_json(folder / _CONFIG, config)
    for name, weights in ((_PROJECTOR, projector.state_dict()), (HEAD, head or {})):
        if weights:
            save_file({key: tensor.detach().contiguous().cpu() for key, tensor in weights.items()}, folder / name)
    write_json(folder / _MANIFEST, manifest.model_dump(mode="json"))
    seal(folder)


def read_manifest(folder: Path, made_from: Lineage) -> AdapterManifest:
    """Read llara.json, which must be made from `made_from` or more.

    Raises:
        ArtifactError: it is missing or broken, the adapter was trained on other items, sequences or embeddings, or its
            files aren't those that were written together.
    """
    path = folder / _MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file; run `dvc repro finetune`")
    try:
        manifest = AdapterManifest.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ArtifactError(f"{path}: not a readable manifest: {describe_problems(error)}") from error
    except ValueError as error:
        raise ArtifactError(f"{path}: not a readable manifest: {str(error).splitlines()[0]}") from error
    require_lineage(path, manifest.made_from, made_from)
    require_seal(folder)
    return manifest


def load_adapter(
    folder: Path, manifest: AdapterManifest, llm: PreTrainedModel, item_embeddings: np.ndarray
) -> HybridCausalLM:
    """Rebuild the tuned model around its base `llm`, in evaluation mode.

    Raises:
        ArtifactError: weights are missing or don't fit the base model.
    """
    if not (folder / _LORA).is_file():  # peft would look for a pickle instead, and then on the hub
        raise ArtifactError(f"{folder / _LORA}: no such file; run `dvc repro finetune`")
    try:
        config = peft.LoraConfig.from_pretrained(str(folder))
        _use_own_layers(config, llm)
        adapted = peft.PeftModel.from_pretrained(llm, str(folder), config=config)
        _require_exactly(folder / _LORA, peft.get_peft_model_state_dict(adapted, save_embedding_layers=False))
        model = build_hybrid(adapted.get_base_model(), item_embeddings, manifest.projector, manifest.fusion)
        model.projector.load_state_dict(load_file(folder / _PROJECTOR))
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ArtifactError(f"{folder}: not a usable adapter: {str(error).splitlines()[0]}") from error
    return model.eval()


def read_head(folder: Path, item_vectors: Tensor) -> dict[str, Tensor]:
    """Read the objective's own weights, by name; none where it has none.

    Raises:
        ArtifactError: they can't be read, or don't lead from the width of the adapter's language model into the space
            of the recommender's item_vectors [n + 1, D].
    """
    path = folder / HEAD
    if not path.is_file():
        return {}
    try:
        weights, width = load_file(path), len(load_file(folder / _PROJECTOR)["last.weight"])
    except (OSError, KeyError, SafetensorError) as error:
        raise ArtifactError(f"{folder}: not a usable head: {str(error).splitlines()[0]}") from error
    for name, weight in weights.items():
        maps = (item_vectors.shape[1], width)
        expected = tuple(item_vectors.shape) if name == ITEM_VECTORS else maps[: weight.dim()]
        if tuple(weight.shape) != expected:
            raise ArtifactError(f"{path}: {name} must have shape {expected}, got {tuple(weight.shape)}")
    return weights


def _require_exactly(path: Path, loaded: dict[str, Tensor]) -> None:
    """Refuse weights that don't fill the adapter: peft leaves those that are missing as they were drawn."""
    stored = load_file(path)
    if difference := sorted(stored.keys() ^ loaded.keys()):
        raise ArtifactError(f"{path}: must hold exactly the adapter's weights, differs in {', '.join(difference[:4])}")
