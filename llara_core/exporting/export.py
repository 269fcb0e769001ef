"""Writing a tuned model as a folder that plain libraries read."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from llara_core.errors import ArtifactError
from llara_core.evaluation.artifacts import Artifacts, read_artifacts
from llara_core.exporting.card import Exported, write_card
from llara_core.exporting.dataset_terms import DatasetTerms, read_terms, require_permission
from llara_core.exporting.destination import ABOUT, FORMAT, check_destination
from llara_core.exporting.merging import load_merged
from llara_core.exporting.origin import read_origin
from llara_core.exporting.pieces import answer_pieces, history_pieces, prompt_pieces
from llara_core.exporting.writing import explained_failures
from llara_core.hybrid.adapter import HEAD, ITEM_VECTORS, read_head
from llara_core.hybrid.base_llm import load_tokenizer
from llara_core.hybrid.model import HybridCausalLM
from llara_core.params.params import Params
from llara_core.params.projector import ADDITIVE
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import Mode, PromptWriter
from llara_core.runtime.files import atomic_directory
from llara_core.runtime.paths import ADAPTER, CANDIDATES, EMBEDDINGS, PROCESSED, RECOMMENDER
from llara_core.runtime.seal import seal

SCRIPTS = Path(__file__).resolve().parent / "scripts"


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        objective: what the model was trained for, which decides how it is asked.
        layers: of its language model.
        parameters: of its language model.
        private: whether it must stay with the user.
        sizes: bytes of its files, by name.
        notes: what the user should know.
    """

    objective: str
    layers: int
    parameters: int
    private: bool
    sizes: dict[str, int]
    notes: tuple[str, ...]


def export_model(params: Params, folder: Path, *, private: bool, force: bool, root: Path = Path()) -> Export:
    """Write the tuned model below `root` to `folder`: the whole of it, or nothing.

    Args:
        params: which dataset it is, and how it is asked, as evaluation does (`eval.mode`, `template`,
            `length_normalized`).
        folder: where to; replaced if it is an earlier export and `force` is given.
        private: whether it stays with the user, so that titles and vectors may be in it whatever the licence.
        force: as said.
        root: the repository's.

    Raises:
        ArtifactError: the folder is there, or artifacts are missing, damaged, or don't belong together, or the model
            can't be put plainly.
        LicenceError: the data's licence doesn't permit to hand on titles and item vectors.
        ModelError: the base model can't be loaded.
    """
    check_destination(folder, force=force)
    paths = (PROCESSED, RECOMMENDER, EMBEDDINGS, ADAPTER, CANDIDATES)
    artifacts = read_artifacts(*(root / path for path in paths))
    terms = read_terms(params, root, artifacts.tables.items)
    require_permission(terms, private=private)
    if artifacts.manifest.projector.kind == "transformer":
        raise ArtifactError(
            f"{root / ADAPTER}: projector.kind must be linear or mlp for an export, whose tables have one behavioural "
            "token for each item, got transformer, whose tokens depend on the items beside them"
        )
    about, exported = _describe(params, artifacts, terms, root, private=private)
    hybrid = load_merged(artifacts)
    exported = exported.with_llm(_depth(hybrid.llm), sum(weight.numel() for weight in hybrid.llm.parameters()))
    with explained_failures(folder), atomic_directory(folder) as temporary:
        _write_weights(temporary, artifacts, hybrid)
        load_tokenizer(artifacts.manifest.llm)[0].save_pretrained(temporary)
        (temporary / ABOUT).write_text(json.dumps(about, ensure_ascii=False) + "\n", encoding="utf-8")
        script = SCRIPTS / f"{artifacts.manifest.objective}.py"
        (temporary / "ask.py").write_text(script.read_text(encoding="utf-8"), encoding="utf-8")
        write_card(temporary / "README.md", exported)
        seal(temporary)
        for path in temporary.iterdir():
            path.chmod(0o644)  # safetensors writes for its owner alone
        sizes = {path.name: path.stat().st_size for path in sorted(temporary.iterdir())}
    return Export(artifacts.manifest.objective, exported.layers, exported.parameters, private, sizes, exported.notes)


def _describe(
    params: Params, artifacts: Artifacts, terms: DatasetTerms, root: Path, *, private: bool
) -> tuple[dict[str, Any], Exported]:
    """What llara.json and the card say; made before the language model is loaded, for it takes the longest."""
    manifest, items, how = artifacts.manifest, artifacts.tables.items, params.eval
    if how.template >= len(manifest.prompt.templates):
        raise ArtifactError(
            f"eval.template must be < the {len(manifest.prompt.templates)} prompt.templates of the adapter, got "
            f"{how.template}"
        )
    mode = manifest.choose_mode(how.mode)
    about = {
        "format": FORMAT,
        "objective": manifest.objective,
        "private": private,
        "titles": items.titles_by_id,
        "history_length": manifest.history_length,
        "mode": mode,
        "keep": float(manifest.fusion.kind in ADDITIVE),
        **_pieces(params, artifacts, mode),
    }
    if manifest.objective == "answer":
        about["length_normalized"] = how.length_normalized
    return about, Exported(terms, artifacts, mode, read_origin(params, artifacts, root), private)


def _pieces(params: Params, artifacts: Artifacts, mode: Mode) -> dict[str, Any]:
    manifest, tables = artifacts.manifest, artifacts.tables
    encoder = PromptEncoder(*load_tokenizer(manifest.llm), manifest.chat)
    writer = PromptWriter.of(manifest.prompt, manifest.fusion, manifest.nouns, tables.items.titles_by_id)
    if manifest.objective == "stream":
        return history_pieces(encoder, writer, mode)
    n_candidates, template = tables.sets.candidates.shape[1], params.eval.template
    is_choice = manifest.objective == "choice"
    pieces = prompt_pieces(encoder, writer, mode, template, n_candidates, marked=is_choice)
    return pieces if is_choice else {**pieces, "answers": answer_pieces(encoder, writer)}


@torch.no_grad()
def _write_weights(folder: Path, artifacts: Artifacts, hybrid: HybridCausalLM) -> None:
    """Write the merged model, the projector, the head, and the items' tables."""
    hybrid.llm.save_pretrained(folder)
    _save(folder / "projector.safetensors", hybrid.projector.state_dict())
    head = read_head(artifacts.adapter, artifacts.recommender.output_weights)
    vectors = head.pop(ITEM_VECTORS, artifacts.recommender.output_weights.detach())
    if head:
        _save(folder / HEAD, head)
    every_item = torch.ones(1, len(hybrid.item_embeddings), dtype=torch.bool)
    tokens = hybrid.projector.at_slots(hybrid.item_embeddings, every_item)
    tables = {"item_embeddings": hybrid.item_embeddings, "item_vectors": vectors, "behavioural_tokens": tokens}
    _save(folder / "items.safetensors", tables)


def _save(path: Path, weights: dict[str, Tensor]) -> None:
    # Copies: what is saved may share its memory (a tied recommender's two tables), which safetensors refuses.
    save_file({name: tensor.detach().cpu().clone().contiguous() for name, tensor in weights.items()}, path)


def _depth(llm: PreTrainedModel) -> int:
    return int(llm.config.num_hidden_layers)
