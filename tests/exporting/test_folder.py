"""What an export writes beside weights, what it replaces, and that it is there whole or not at all."""

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file
from transformers import AutoTokenizer, PreTrainedModel

from llara_core.errors import ArtifactError, LicenceError, LlaraError
from llara_core.exporting.base_licences import UNKNOWN, licence_of
from llara_core.exporting.export import export_model
from llara_core.params.params import Params
from llara_core.params.sections import FolderLlm
from llara_core.runtime.files import sha256_of
from llara_core.runtime.paths import METRICS, PREDICTIONS
from llara_core.runtime.seal import require_seal
from llara_core.tables.predictions import lineage_of_predictions, read_predictions, write_predictions
from tests.conftest import TITLES
from tests.exporting.conftest import Repository
from tests.factories import name_source

Make = Callable[..., Repository]
FILES = {
    "README.md",
    "ask.py",
    "config.json",
    "generation_config.json",
    "head.safetensors",
    "items.safetensors",
    "llara.json",
    "model.safetensors",
    "projector.safetensors",
    "sha256.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


@pytest.fixture
def export(made_of: Make, tmp_path: Path) -> Callable[..., Path]:
    """Export a copy of the tiny stream model; changes are made to the copy first."""

    def run(
        *, private: bool = False, force: bool = False, change: Callable[[Path], Params | None] = lambda _: None
    ) -> Path:
        root, params = made_of("stream")
        own = tmp_path / "repository"
        if not own.exists():
            shutil.copytree(root, own)
        params = change(own) or params
        export_model(params, tmp_path / "exports" / "out", private=private, force=force, root=own)
        return tmp_path / "exports" / "out"

    return run


def _made_of(source: str) -> Callable[[Path], None]:
    return lambda root: name_source(root, source)


@pytest.fixture
def select(made_of: Make) -> Callable[[str], Callable[[Path], Params]]:
    """Make the data another dataset's."""

    def of(name: str) -> Callable[[Path], Params]:
        def change(root: Path) -> Params:
            params = made_of("stream")[1]
            name_source(root, params.datasets[name].source)
            return params.model_copy(update={"dataset": params.dataset.model_copy(update={"name": name})})

        return change

    return of


def test_the_folder_s_files(export: Callable[..., Path]) -> None:
    folder = export()
    assert {path.name for path in folder.iterdir()} == FILES
    require_seal(folder)
    assert {oct(path.stat().st_mode)[-3:] for path in folder.iterdir()} == {"644"}
    assert [path.name for path in folder.parent.iterdir()] == ["out"]
    about = json.loads((folder / "llara.json").read_text())
    assert about["titles"] == TITLES
    assert AutoTokenizer.from_pretrained(folder).eos_token == "<eos>"  # noqa: S105


def test_behavioural_tokens_are_the_projector_s(export: Callable[..., Path]) -> None:
    folder = export()
    items, weights = load_file(folder / "items.safetensors"), load_file(folder / "projector.safetensors")
    hidden = torch.nn.functional.gelu(items["item_embeddings"] @ weights["first.weight"].T + weights["first.bias"])
    expected = hidden @ weights["last.weight"].T + weights["last.bias"]
    torch.testing.assert_close(items["behavioural_tokens"], expected, rtol=1e-5, atol=1e-6)
    assert items["item_vectors"].shape == items["item_embeddings"].shape == (len(TITLES), 8)


def test_the_card_has_data_licence_metrics_limits_and_how_it_was_made(export: Callable[..., Path]) -> None:
    folder = export()
    card = (folder / "README.md").read_text()
    front, body = card.removeprefix("---\n").split("---\n", 1)
    assert YAML(typ="safe").load(front)["license"] == "other"  # of a local folder nobody knows it
    for heading in ("What it is", "How to ask it", "Data", "Licences", "Metrics", "Limits", "How it was made"):
        assert f"\n## {heading}\n" in body
    metrics = json.loads((folder.parents[1] / "repository" / METRICS / "evaluate.json").read_text())
    row = metrics["llara"]
    low, high = row["hit_ratio_at_1_low"], row["hit_ratio_at_1_high"]
    assert f"| this model | {row['hit_ratio_at_1']:.4f} | {low:.4f} to {high:.4f} | {row['ndcg_at_5']:.4f} |" in body
    assert f"{metrics['lists']['n_lists']} lists of {metrics['lists']['n_users']} test users" in body
    made = YAML(typ="safe").load(body.split("```yaml\n")[1].split("```")[0])
    assert set(made["digests"]) == {"items", "sequences", "recommender", "embeddings", "candidates", "adapter", "llm"}
    assert made["params"]["lora"]["rank"] == 2
    assert made["versions"]["torch"] == torch.__version__
    assert str(Path.home()) not in card
    assert "mine.csv" not in card
    assert "Private" not in card


def test_a_card_without_an_evaluation_of_these_artifacts_has_no_metrics(export: Callable[..., Path]) -> None:
    def forget(root: Path) -> None:
        shutil.rmtree(root / PREDICTIONS)

    card = (export(change=forget) / "README.md").read_text()
    assert "## Metrics\n\nNot evaluated." in card
    assert "These artifacts haven't been evaluated" in card


def test_metrics_of_another_adapter_are_not_this_model_s(export: Callable[..., Path]) -> None:
    def exchange(root: Path) -> None:
        answered, made_from = read_predictions(root / PREDICTIONS), lineage_of_predictions(root / PREDICTIONS)
        write_predictions(root / PREDICTIONS, answered, {**made_from, "adapter": "0" * 64})

    assert "## Metrics\n\nNot evaluated." in (export(change=exchange) / "README.md").read_text()


def test_a_card_says_that_params_have_changed(export: Callable[..., Path], made_of: Make) -> None:
    def change(_: Path) -> Params:
        params = made_of("stream")[1]
        return params.model_copy(update={"fusion": params.fusion.model_copy(update={"kind": "gate"})})

    assert "Params.yaml has changed since training in fusion:" in (export(change=change) / "README.md").read_text()


@pytest.mark.parametrize("name", ["ml-100k", "steam", "lastfm", "amazon-video-games", "llara-release-movielens"])
def test_what_a_licence_does_not_permit_is_written_in_private_only(
    export: Callable[..., Path], select: Callable[[str], Callable[[Path], Params]], tmp_path: Path, name: str
) -> None:
    with pytest.raises(LicenceError, match="--private writes it for your own use"):
        export(change=select(name))
    assert not (tmp_path / "exports").exists()
    if name == "ml-100k":
        folder = export(change=select(name), private=True)
        card = (folder / "README.md").read_text()
        assert "license: other\n" in card
        assert "**Private: holds what the data's licence doesn't permit to hand on." in card
        assert "Harper & Konstan (2015)" in card
        assert json.loads((folder / "llara.json").read_text())["private"] is True


def test_a_licence_that_permits_it_needs_no_more(
    export: Callable[..., Path], select: Callable[[str], Callable[[Path], Params]]
) -> None:
    card = (export(change=select("llara-release-lastfm")) / "README.md").read_text()
    assert "Apache-2.0; they may be handed on under the data's licence" in card


def test_the_data_at_hand_decide_and_not_what_params_select_by_now(export: Callable[..., Path]) -> None:
    with pytest.raises(ArtifactError, match=r"that params.yaml selects, mine \(source csv\), got ml-100k; run `dvc"):
        export(change=_made_of("ml-100k"))
    with pytest.raises(ArtifactError, match="no such file, and so no way to tell the data's licence"):
        export(change=lambda root: (root / METRICS / "preprocess.json").unlink())


def test_what_was_fetched_since_has_no_say(
    export: Callable[..., Path], select: Callable[[str], Callable[[Path], Params]]
) -> None:
    """`dvc repro fetch` alone, of data that may be handed on, changes nothing of what titles there are."""

    def fetched(root: Path) -> Params:
        changed = select("ml-100k")(root)
        (root / METRICS / "fetch.json").write_text(json.dumps({"dataset": "llara_release"}))
        return changed.model_copy(
            update={"dataset": changed.dataset.model_copy(update={"name": "llara-release-lastfm"})}
        )

    with pytest.raises(ArtifactError, match=r"\(source llara_release\), got ml-100k; run `dvc repro`"):
        export(change=fetched)


def test_a_source_of_other_items_has_no_say(export: Callable[..., Path]) -> None:
    def other(root: Path) -> None:
        path = root / METRICS / "preprocess.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "items_sha256": "0" * 64}))

    with pytest.raises(
        ArtifactError, match="preprocess.json: must be of the items at hand, with digest .*, got 0{12}…"
    ):
        export(change=other)


def test_the_base_model_s_licence_is_carried_over(params: Params, made_of: Make) -> None:
    for name, entry in params.llms.items():
        assert (licence_of(entry) is UNKNOWN) == isinstance(entry, FolderLlm), name
    assert licence_of(params.llms["smollm2-135m"]).tag == "apache-2.0"
    assert "ai.google.dev/gemma/terms" in licence_of(params.llms["gemma-2-2b"]).notice
    assert "Meta Platforms" in licence_of(params.llms["llama-2-7b"]).notice
    assert licence_of(made_of("stream")[1].selected_llm) is UNKNOWN


def test_an_earlier_export_is_replaced_by_force_alone(export: Callable[..., Path]) -> None:
    folder = export()
    before = sha256_of(folder / "model.safetensors")
    with pytest.raises(ArtifactError, match="must not be there yet; --force replaces this earlier export"):
        export()
    assert export(force=True) == folder
    assert sha256_of(folder / "model.safetensors") == before
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(ArtifactError, match=r"thesis.tex: must not be there"):
        export(force=True)
    (folder / "thesis.tex").unlink()
    (folder / "years").mkdir()
    with pytest.raises(ArtifactError, match=r"years: must not be there"):
        export(force=True)
    assert (folder / "years").is_dir()
    (folder / "years").rmdir()
    (folder / "years").symlink_to("/mnt/not/there/now")
    with pytest.raises(ArtifactError, match=r"years: must not be there"):
        export(force=True)
    assert (folder / "years").is_symlink()


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("there", ["folder", "empty", "file", "link", "below a file"])
def test_what_is_not_ours_is_never_replaced(
    export: Callable[..., Path], tmp_path: Path, there: str, force: bool
) -> None:
    out = tmp_path / "exports" / "out"
    if there == "below a file":
        out.parent.write_text("mine")
    else:
        out.parent.mkdir()
    if there in ("folder", "empty"):
        out.mkdir()
    if there == "folder":
        (out / "llara.json").write_text('{"format": "something else"}')
    if there == "file":
        out.write_text("mine")
    if there == "link":
        out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match=r"exports.*: must "):
        export(force=force)
    assert out.parent.exists()
    if there == "file":
        assert out.read_text() == "mine"


@contextmanager
def _files_up_to(size: int) -> Iterator[None]:
    """Let the system refuse to write files beyond a size, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_can_not_be_written_leaves_nothing(export: Callable[..., Path]) -> None:
    folder = export()
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    shutil.rmtree(folder)
    for size in (100, sizes["items.safetensors"] - 1, sizes["tokenizer.json"] - 1, sizes["model.safetensors"] - 1):
        with (
            _files_up_to(size),
            pytest.raises(LlaraError, match=r"can't be written: File too large; nothing half-written"),
        ):
            export()
        assert not list(folder.parent.iterdir())


def test_a_failure_keeps_the_earlier_export(export: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = export()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", fail)
    with pytest.raises(LlaraError, match="No space left on device; nothing half-written is left"):
        export(force=True)
    require_seal(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


def test_a_killed_run_leaves_nothing_under_the_name_and_the_next_one_tidies_up(
    export: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llara_core.exporting.export.write_card", killed)
    with pytest.raises(KeyboardInterrupt):
        export()
    assert not list((tmp_path / "exports").iterdir())
    monkeypatch.undo()
    (tmp_path / "exports" / ".out.0a_bcdef.tmp").mkdir()  # by a kill that can't be caught
    export()
    assert [path.name for path in (tmp_path / "exports").iterdir()] == ["out"]
