"""How an export was made: commit, versions, digests, params, and the evaluation of these very artifacts."""

import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llara_core.evaluation.artifacts import Artifacts
from llara_core.evaluation.evaluated import read_evaluated
from llara_core.hybrid.adapter import AdapterManifest
from llara_core.params.params import Params
from llara_core.tables.lineage import Lineage

_LIBRARIES = ("llara", "peft", "safetensors", "tokenizers", "torch", "transformers")
_SECTIONS = ("seed", "split", "candidates", "pretrain", "prompt", "projector", "fusion", "lora", "curriculum", "train")


@dataclass(frozen=True)
class Origin:
    """How an export was made.

    Attributes:
        commit: of the code that exports; "…, with changes" where files differ from it; "unknown" outside of git.
        versions: of Python and the libraries.
        digests: of all artifacts, and of the base model.
        params: the sections of params.yaml that decide the weights, and the entries that are selected.
        changed: those of the adapter's own records that params.yaml no longer agrees with.
        metrics: metrics/evaluate.json, if that evaluation was of these artifacts.
    """

    commit: str
    versions: dict[str, str]
    digests: Lineage
    params: dict[str, Any]
    changed: list[str]
    metrics: dict[str, Any] | None


def read_origin(params: Params, artifacts: Artifacts, root: Path) -> Origin:
    """Gather how an export is made.

    Raises:
        ArtifactError: the evaluation's metrics are damaged.
    """
    digests = {**artifacts.lineage, "llm": artifacts.manifest.made_from["llm"]}
    versions = {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}
    metrics = read_evaluated(root, artifacts.lineage)
    changed = _changed(params, artifacts.manifest)
    return Origin(_commit(root), versions, digests, _decisive(params, artifacts.manifest), changed, metrics)


def _decisive(params: Params, manifest: AdapterManifest) -> dict[str, Any]:
    dumped = params.model_dump(mode="json")
    entries = {
        "dataset": {params.dataset.name: dumped["datasets"][params.dataset.name]},
        "recommender": {params.recommender.name: dumped["recommenders"][params.recommender.name]},
        "objective": {manifest.objective: dumped["objectives"][manifest.objective]},
    }
    return {name: dumped[name] for name in _SECTIONS} | entries


def _changed(params: Params, manifest: AdapterManifest) -> list[str]:
    pairs = {
        "llm": (params.selected_llm, manifest.llm),
        "train.objective": (params.train.objective.name, manifest.objective),
        "prompt": (params.prompt, manifest.prompt),
        "projector": (params.projector, manifest.projector),
        "fusion": (params.fusion, manifest.fusion),
        "split.history_length": (params.split.history_length, manifest.history_length),
    }
    return [name for name, (now, then) in pairs.items() if now != then]


def _commit(root: Path) -> str:
    head, changes = (
        _git(root, *words) for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    )
    return "unknown" if head is None else f"{head}, with changes" if changes else head


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
