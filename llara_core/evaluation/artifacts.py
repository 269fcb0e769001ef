"""What is judged: artifacts of earlier stages that belong together, and the tuned model that they make."""

from dataclasses import dataclass, replace
from pathlib import Path

from llara_core.errors import ArtifactError
from llara_core.hybrid.adapter import AdapterManifest, build_hybrid, load_adapter, read_head, read_manifest
from llara_core.hybrid.base_llm import load_base_llm, load_tokenizer
from llara_core.hybrid.llm_files import llm_digest
from llara_core.hybrid.merging import merge_lora
from llara_core.objectives.answer.respondent import AnswerRespondent
from llara_core.objectives.asking import Respondent, Tuned
from llara_core.params.sections import Eval
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.recommenders.model import SequentialRecommender
from llara_core.recommenders.saving import load_recommender
from llara_core.runtime.compute import choose_device
from llara_core.runtime.files import sha256_of_folder
from llara_core.tables.asked_lists import read_asked_lists
from llara_core.tables.embeddings import ItemEmbeddings, read_embeddings
from llara_core.tables.lineage import Lineage, require_lineage
from llara_core.tables.processed import Processed, read_processed


@dataclass(frozen=True)
class Artifacts:
    """What is judged, and on what; made from one another.

    Attributes:
        tables: catalogue, sequences, and the lists that are asked about.
        chosen_by: digest of the recommender, if it chose the negatives of these lists.
        recommender: in evaluation mode.
        embeddings: the recommender's, as the adapter was trained with.
        adapter: its folder.
        manifest: the adapter's.
        lineage: digests of all of them, for what is made from them.
    """

    tables: Processed
    chosen_by: str | None
    recommender: SequentialRecommender
    embeddings: ItemEmbeddings
    adapter: Path
    manifest: AdapterManifest
    lineage: Lineage


def read_artifacts(processed: Path, recommender: Path, embeddings: Path, adapter: Path, candidates: Path) -> Artifacts:
    """Read what earlier stages left.

    Raises:
        ArtifactError: a part is missing or damaged, or was made from others than those beside it.
    """
    tables = read_processed(processed)
    model, lineage = load_recommender(recommender, tables.lineage)
    vectors = read_embeddings(embeddings, lineage, len(tables.items))
    lineage = {**lineage, "embeddings": vectors.digest}
    manifest = read_manifest(adapter, lineage)
    base = {"llm": llm_digest(manifest.llm)}
    require_lineage(adapter, manifest.made_from, base, "DVC doesn't see it: run `dvc repro --force finetune`")
    asked = read_asked_lists(candidates, tables, lineage["recommender"])
    lineage |= {"candidates": asked.sets.digest, "adapter": sha256_of_folder(adapter)}
    tables = replace(tables, sets=asked.sets)
    return Artifacts(tables, asked.chosen_by, model, vectors, adapter, manifest, lineage)


def load_tuned(params: Eval, artifacts: Artifacts) -> Tuned:
    """Load the tuned language model, with all that it is asked with.

    Raises:
        ArtifactError: the adapter's objective or modes don't fit params, or it lacks what it needs.
    """
    manifest, tables = artifacts.manifest, artifacts.tables
    if params.method != "scoring" and manifest.objective != "answer":
        raise ArtifactError(
            f"eval.method must be scoring for {artifacts.adapter}, which was trained by {manifest.objective}, got "
            f"{params.method}"
        )
    mode = manifest.choose_mode(params.mode)
    head = read_head(artifacts.adapter, artifacts.recommender.output_weights)
    tokenizer, max_length = load_tokenizer(manifest.llm)
    llm = load_base_llm(manifest.llm, choose_device(), manifest.layers, may_stand_in=True)
    hybrid = load_adapter(artifacts.adapter, manifest, llm, artifacts.embeddings.vectors)
    if manifest.llm.dtype == "float32" and manifest.llm.quantization is None:
        merge_lora(hybrid.llm, str(artifacts.adapter))
    encoder = PromptEncoder(tokenizer, max_length, manifest.chat)
    writer = PromptWriter.of(manifest.prompt, manifest.fusion, manifest.nouns, tables.items.titles_by_id)
    recommender = artifacts.recommender.to(choose_device())
    return Tuned(hybrid, artifacts.adapter, manifest, head, recommender, tables, writer, encoder, params, mode)


def load_untuned(tuned: Tuned) -> Respondent:
    """Load the whole language model as it was before tuning, to be asked in text by the likelihood of titles."""
    llm = load_base_llm(tuned.manifest.llm, choose_device(), None, may_stand_in=True)
    vectors = tuned.hybrid.item_embeddings.cpu().numpy()  # which text doesn't show
    hybrid = build_hybrid(llm, vectors, tuned.manifest.projector, tuned.manifest.fusion).eval()
    how = tuned.params.model_copy(update={"method": "scoring"})
    return AnswerRespondent(replace(tuned, hybrid=hybrid, params=how, mode="text"))
