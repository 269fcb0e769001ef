"""The model card, README.md: what the model is, of which data, under which licences, how good, and what it can't."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any, Self

from ruamel.yaml import YAML

from llara_core.evaluation.artifacts import Artifacts
from llara_core.exporting.base_licences import UNKNOWN, BaseLicence, licence_of
from llara_core.exporting.dataset_terms import DatasetTerms
from llara_core.exporting.origin import Origin
from llara_core.hybrid.base_llm import name_of
from llara_core.params.sections import FolderLlm, HubLlm, Llm, PackagedLlm
from llara_core.prompting.segments import Mode

_MODELS = {
    "llara": "this model",
    "llara_with_recommender": "with its recommender, which isn't exported",
    "recommender": "that recommender alone",
    "co_occurrence": "co-occurrence",
    "popularity": "the most popular candidate",
    "random": "by chance",
}
_TASKS = {
    "stream": "reads a history once and scores every item of the catalogue as the next one",
    "choice": "reads a history and a list of candidates, and scores each candidate by a pointer from the prompt's end",
    "answer": "reads a history and a list of candidates, and scores each candidate by the likelihood of its title",
}


@dataclass(frozen=True)
class Exported:
    """What a card tells of.

    Attributes:
        terms: of the data.
        artifacts: what is exported.
        mode: how items are shown.
        origin: how it was made.
        private: whether it must stay with the user.
        layers: of the exported language model.
        parameters: of the exported language model.
    """

    terms: DatasetTerms
    artifacts: Artifacts
    mode: Mode
    origin: Origin
    private: bool
    layers: int = 0
    parameters: int = 0

    def with_llm(self, layers: int, parameters: int) -> Self:
        """Add what is known of the language model once it is loaded."""
        return replace(self, layers=layers, parameters=parameters)

    @property
    def base_licence(self) -> BaseLicence:
        """Of the base model."""
        return licence_of(self.artifacts.manifest.llm)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is uncertain about the export."""
        found = []
        if self.origin.metrics is None:
            found.append("these artifacts haven't been evaluated, so the card has no metrics: run `dvc repro evaluate`")
        if self.origin.changed:
            found.append(
                f"params.yaml has changed since training in {', '.join(self.origin.changed)}: the card's params may "
                "not be those of the training"
            )
        if self.base_licence is UNKNOWN:
            found.append("the base model's licence is not known; see to it before you hand the folder on")
        if self.artifacts.manifest.llm.dtype != "float32":
            found.append(
                f"the model was tuned and evaluated in {self.artifacts.manifest.llm.dtype} and is exported in float32: "
                "scores differ by the rounding of the former"
            )
        return tuple(found)


def write_card(path: Path, exported: Exported) -> None:
    """Write the card."""
    sections = [_head(exported), _what(exported), _use(exported), _data(exported), _licences(exported)]
    sections += [_metrics(exported.origin.metrics), _limits(exported), _origin(exported)]
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def _head(exported: Exported) -> str:
    licence, llm = exported.base_licence, exported.artifacts.manifest.llm
    must_stay = exported.private and not exported.terms.licence.may_be_handed_on
    # The whole folder's, not only the language model's.
    tag, name = ("other", "not to be handed on") if must_stay else (licence.tag, licence.name)
    front = {"library_name": "transformers", "license": tag, "tags": ["recommendation", "llara"]}
    front |= {"license_name": name} if tag == "other" else {}
    front |= {"base_model": llm.id} if isinstance(llm, HubLlm) else {}
    private = "\n\n**Private: holds what the data's licence doesn't permit to hand on. Don't publish it.**"
    return f"---\n{_yaml(front)}---\n\n# LLaRA, trained on {exported.terms.title}{private if must_stay else ''}"


def _what(exported: Exported) -> str:
    manifest = exported.artifacts.manifest
    shown = {"hybrid": f"by title and behavioural token ({manifest.fusion.kind})", "text": "by title alone"}
    lines = [
        f"A language model of {exported.parameters:,} parameters that {_TASKS[manifest.objective]} (LLaRA, "
        f"arXiv 2312.02445; objective `{manifest.objective}`). Items are shown "
        f"{shown.get(exported.mode, 'by behavioural token alone')}.",
        "",
        f"- Base model: {name_of(manifest.llm) if not isinstance(manifest.llm, FolderLlm) else 'a local folder'}; "
        f"digest {manifest.made_from['llm']}. {_precision(manifest.llm)}",
        f"- Adapter: LoRA, merged into the weights in float32. The model has {exported.layers} layers"
        + (
            ": the lowest ones of the base model, and no others, for none above them is read."
            if manifest.layers
            else "."
        )
        + (" Its vocabulary head is the base model's and means nothing here." if manifest.layers else ""),
        f"- Catalogue: {len(exported.artifacts.tables.items):,} items. Histories: the latest "
        f"{manifest.history_length} items.",
    ]
    return "\n".join(["## What it is", "", *lines])


def _precision(llm: Llm) -> str:
    if isinstance(llm, PackagedLlm):
        return (
            "Its weights were read from a quantised GGUF file and converted to float32: they have the precision of "
            f"that file ({Path(llm.file).stem.rpartition('.')[2]}), not of the original."
        )
    return "" if llm.dtype == "float32" else f"It was tuned in {llm.dtype}."


def _use(exported: Exported) -> str:
    words = '"A title" "The latest title"'
    words += "" if exported.artifacts.manifest.objective == "stream" else ' -- "A candidate" "Another"'
    return (
        "## How to ask it\n\n"
        f"```sh\npython ask.py . {words}\n```\n\n"
        "needs torch, transformers and safetensors, and nothing else. `llara.json` has the titles and, by item id, the "
        "token ids that each is written as; ~t stands for a slot, whose behavioural token is a row of "
        "`items.safetensors` (`behavioural_tokens` [n + 1, H], made of `item_embeddings` by `projector.safetensors`). "
        "`head.safetensors` leads from states into the space of `item_vectors`."
    )


def _data(exported: Exported) -> str:
    tables = exported.artifacts.tables
    lines = [
        f"{exported.terms.title}: {len(tables.items):,} items, {len(tables.sequences):,} users, "
        f"{len(tables.sequences.item_ids):,} interactions after filters.",
        "",
        f"Terms: {exported.terms.licence}.",
    ]
    return "\n".join(["## Data", "", *lines])


def _licences(exported: Exported) -> str:
    base, data = exported.base_licence, exported.terms.licence
    lines = [f"- Language model: {base.name}{f' ({base.terms})' if base.terms else ''}, inherited from the base model."]
    lines += [f"- {base.notice}"] if base.notice else []
    may = "may be handed on under the data's licence" if data.may_be_handed_on else "may not be handed on"
    lines += [f"- Titles, item vectors, behavioural tokens: {data.short}; they {may}."]
    return "\n".join(["## Licences", "", *lines])


def _metrics(metrics: Mapping[str, Any] | None) -> str:
    if metrics is None:
        return "## Metrics\n\nNot evaluated."
    rows = ["| model | HitRatio@1 | 95 % interval | NDCG@5 | ValidRatio |", "| --- | --- | --- | --- | --- |"]
    for name, label in _MODELS.items():
        if (row := metrics.get(name)) is not None:
            low, high = row.get("hit_ratio_at_1_low"), row.get("hit_ratio_at_1_high")
            rows.append(
                f"| {label} | {_number(row.get('hit_ratio_at_1'))} | {_number(low)} to {_number(high)} | "
                f"{_number(row.get('ndcg_at_5'))} | {_number(row.get('valid_ratio'))} |"
            )
    lists = metrics.get("lists", {})
    asked = f"{lists.get('n_lists', '?')} lists of {lists.get('n_users', '?')} test users; intervals are over users."
    return "\n".join(["## Metrics", "", asked, "", *rows])


def _number(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, int | float) else "–"


def _limits(exported: Exported) -> str:
    manifest = exported.artifacts.manifest
    lines = [
        "It knows the items of this catalogue alone, by exactly these titles.",
        f"Of a longer history than {manifest.history_length} items only the latest are read.",
        "Metrics are of users of this dataset, and of candidate lists drawn as the evaluation draws them; other users, "
        "times or lists may fare otherwise.",
        "It recommends what such users consumed next, with all their habits and biases, popularity among them.",
    ]
    if manifest.objective != "stream":
        lines.append("It chooses from a list: somebody has to make the list.")
    lines += [f"{note[0].upper()}{note[1:]}." for note in exported.notes]
    return "\n".join(["## Limits", "", *(f"- {line}" for line in lines)])


def _origin(exported: Exported) -> str:
    origin = exported.origin
    adapter = exported.artifacts.manifest.model_dump(mode="json", exclude={"made_from", "prompt"})
    if isinstance(exported.artifacts.manifest.llm, FolderLlm):
        adapter["llm"]["path"] = "a local folder"  # which is nobody else's business
    [data] = origin.params["dataset"].values()
    data |= {name: "own data" for name in ("interactions", "items") if data.get(name)}
    how = {
        "commit_of_the_export": origin.commit,
        "versions": origin.versions,
        "digests": origin.digests,
        "adapter": adapter,
        "params": origin.params,
    }
    return f"## How it was made\n\n```yaml\n{_yaml(how)}```"


def _yaml(content: Mapping[str, Any]) -> str:
    yaml, text = YAML(), StringIO()
    yaml.default_flow_style = False
    yaml.dump(dict(content), text)
    return text.getvalue()
