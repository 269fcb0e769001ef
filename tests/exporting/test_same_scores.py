"""The exported folder, asked without this project, gives the scores of the evaluation."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from llara_core.errors import ArtifactError
from llara_core.exporting.export import SCRIPTS, export_model
from llara_core.runtime.paths import ADAPTER, PREDICTIONS
from llara_core.tables.predictions import read_predictions
from tests.conftest import TITLES, needs_bitsandbytes
from tests.exporting.asking import OBJECTIVES, ask, documented_script
from tests.exporting.conftest import Repository
from tests.recommending.tiny import LISTS

Make = Callable[..., Repository]
KINDS = [  # every objective with every fusion, and with what else there is beside them
    ("stream", {"fusion": "append"}),
    ("stream", {"fusion": "replace", "projector": "linear"}),
    ("stream", {"fusion": "add"}),
    ("stream", {"fusion": "gate", "projector": "deep"}),
    ("choice", {"fusion": "append"}),
    ("choice", {"fusion": "replace", "form": "chat"}),
    ("choice", {"fusion": "add", "llm": "qwen"}),
    ("choice", {"fusion": "gate"}),
    ("answer", {"fusion": "append"}),
    ("answer", {"fusion": "replace"}),
    ("answer", {"fusion": "add", "form": "chat"}),
    ("answer", {"fusion": "gate"}),
    ("choice", {"mode": "id"}),
    ("stream", {"mode": "text"}),
    pytest.param("answer", {"llm": "nf4"}, marks=needs_bitsandbytes, id="answer-of-4-bits"),
]


@pytest.mark.parametrize(("objective", "kind"), KINDS, ids=str)
def test_the_documented_script_gives_the_stored_scores(
    made_of: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], objective: str, kind: dict[str, str]
) -> None:
    root, params = made_of(objective, **kind)
    export_model(params, tmp_path / "out", private=False, force=False, root=root)
    (tmp_path / "ask.py").write_text(documented_script(objective), encoding="utf-8")
    stored = read_predictions(root / PREDICTIONS)
    sets, scores = stored.asked.sets, stored.predictions["llara"].scores
    assert scores is not None
    assert np.ptp(scores, axis=1).min() > 1e-3
    chosen = range(0, len(sets), 5)
    for row in chosen:
        history = LISTS[sets.user_ids[row] - 1][: sets.positions[row]]
        titles = [TITLES[item] for item in history]
        candidates = [TITLES[item] for item in sets.candidates[row]]
        found = ask(
            tmp_path / "out", titles, None if objective == "stream" else candidates, tmp_path / "ask.py", capsys
        )
        expected = dict(zip(candidates, scores[row].tolist(), strict=True))
        if objective == "stream":  # a wrong answer may be what the user had long before
            expected = {title: score for title, score in expected.items() if title not in titles}
        assert {title: found[title] for title in expected} == pytest.approx(expected, rel=0, abs=1e-5)  # 1e-4 promised
        assert list(found.values()) == sorted(found.values(), reverse=True)
        if objective == "stream":
            assert set(found) == set(TITLES[1:]) - set(titles)  # also what is too old to be read


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_documented_script_is_the_folder_s(objective: str) -> None:
    assert documented_script(objective) == (SCRIPTS / f"{objective}.py").read_text(encoding="utf-8")


def test_a_stranger_asks_with_plain_libraries_alone(made_of: Make, tmp_path: Path) -> None:
    root, params = made_of("stream")
    export_model(params, tmp_path / "out", private=False, force=False, root=root)
    words = [str(tmp_path / "out"), "Heat", "Alien 3"]
    # Neither this project nor what of its libraries a stranger needn't have.
    banned = ("llara_core", "llara", "peft", "pyarrow", "pydantic", "dvc")
    code = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({banned})); sys.argv = ['ask.py', *{words}]\n"
        f"runpy.run_path({str(tmp_path / 'out' / 'ask.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == len(TITLES) - 1 - 2


def test_only_the_layers_that_are_read_are_there_and_the_config_says_so(made_of: Make, tmp_path: Path) -> None:
    for objective, layers in (("stream", 1), ("answer", 2)):
        root, params = made_of(objective)
        done = export_model(params, tmp_path / objective, private=False, force=False, root=root)
        config = json.loads((tmp_path / objective / "config.json").read_text())
        assert config["num_hidden_layers"] == layers == done.layers
        weights = load_file(tmp_path / objective / "model.safetensors")
        depths = {int(name.split(".")[2]) for name in weights if name.startswith("model.layers.")}
        assert depths == set(range(layers))
        assert not [name for name in weights if "lora" in name or "base_layer" in name]
        assert {weight.dtype.itemsize for weight in weights.values()} == {4}


def test_merged_weights_are_the_base_s_plus_the_products(made_of: Make, llama_folder: Path, tmp_path: Path) -> None:
    root, params = made_of("stream")
    export_model(params, tmp_path / "out", private=False, force=False, root=root)
    base, merged = load_file(llama_folder / "model.safetensors"), load_file(tmp_path / "out" / "model.safetensors")
    lora = load_file(root / ADAPTER / "adapter_model.safetensors")
    name = "model.layers.0.self_attn.q_proj"
    down, up = (lora[f"base_model.model.{name}.lora_{part}.weight"] for part in "AB")
    expected = base[f"{name}.weight"] + 4 / 2 * up @ down  # alpha 4, rank 2
    np.testing.assert_allclose(merged[f"{name}.weight"], expected, rtol=1e-5, atol=1e-6)
    assert (up @ down).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("objective", "kind", "reason"),
    [
        ("stream", {"projector": "transformer"}, "projector.kind must be linear or mlp for an export"),
        ("answer", {"mode": "text"}, "trained by answer on text alone"),
    ],
    ids=str,
)
def test_what_can_not_be_put_plainly_is_refused(
    made_of: Make, tmp_path: Path, objective: str, kind: dict[str, str], reason: str
) -> None:
    root, params = made_of(objective, **kind)
    with pytest.raises(ArtifactError, match=reason):
        export_model(params, tmp_path / "out", private=False, force=False, root=root)
    assert not list(tmp_path.iterdir())


def test_a_list_of_another_length_than_the_prompt_says_is_refused(
    made_of: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, params = made_of("choice")
    export_model(params, tmp_path / "out", private=False, force=False, root=root)
    with pytest.raises(SystemExit, match="candidates must be 3, as the prompt says, got 2"):
        ask(tmp_path / "out", ["Heat"], ["Alien", "Babe"], tmp_path / "out" / "ask.py", capsys)
