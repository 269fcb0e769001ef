"""A stream from params to metrics, against the tuned model in memory that reads one history at a time."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.stats import zscore
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from llara_core.errors import ArtifactError, ModelError, ParamsError
from llara_core.evaluation import artifacts
from llara_core.evaluation.artifacts import read_artifacts
from llara_core.evaluation.judging import Judged, judge
from llara_core.evaluation.recommenders import candidate_metrics
from llara_core.evaluation.report import details, headline
from llara_core.finetuning import tuning
from llara_core.finetuning.tuning import Tuned, tune
from llara_core.finetuning.watch import Watch
from llara_core.hybrid.adapter import save_adapter
from llara_core.hybrid.base_llm import load_tokenizer
from llara_core.objectives.step_plan import StepPlan
from llara_core.objectives.stream import objective as objectives
from llara_core.objectives.stream.batching import pad_histories
from llara_core.objectives.stream.chunks import Chunk
from llara_core.objectives.stream.objective import StreamObjective
from llara_core.params.objectives import TitleVectors
from llara_core.params.params import Params
from llara_core.params.sections import Draws, FolderLlm
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.histories import HistoryEncoder
from llara_core.recommenders.model import SequentialRecommender, build_recommender
from llara_core.recommenders.ranking import neural_scorer
from llara_core.recommenders.saving import RecommenderConfig, load_recommender, save_recommender
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.embeddings import ItemEmbeddings, read_embeddings, write_embeddings
from llara_core.tables.items import Items
from llara_core.tables.processed import Processed, read_processed, write_processed
from llara_core.tables.sequences import Sequences
from tests.conftest import TITLES
from tests.factories import make_sentencepiece, make_sequences
from tests.recommenders.recipes import OPTIONS, tiny

pytestmark = pytest.mark.every_family

LISTS = [[1, 2, 3, 4, 5, 6], [5, 6, 7, 1, 2], [2, 8, 1, 4], [3, 5, 7, 2, 6], [8], [4, 1, 6, 3, 8, 2]]
_COLD = "0 (cold)"
LENGTH = 3


@pytest.fixture(scope="session")
def encoder(llm_entry: FolderLlm) -> PromptEncoder:
    """With the tokenizer as it is loaded: transformers gives that of a Qwen 2 its own borders of words."""
    return PromptEncoder(*load_tokenizer(llm_entry))


@pytest.fixture
def make_params(params: Params, llm_entry: FolderLlm) -> Callable[..., Params]:
    def make(schedule: str = "hybrid_only", mode: str = "as_trained", precision: str = "float32", **own: Any) -> Params:
        small = {"examples_per_epoch": 12, "batch_size": 4, "micro_batch_size": 2, "chunk_tokens": 40, "layers": 1}
        small |= {"lr": 0.02, "projector_lr": 0.02, "head_lr": 0.02, "average": 0.5}
        small |= {"item_dropout": 0.0, "state_dropout": 0.0}
        small["validation"] = params.objectives.stream.validation.model_copy(update={"positions": 9, "times": 3})
        stream = params.objectives.stream.model_copy(update=small | own)
        draws = Draws(validation=2, test=3)
        sections = {
            "objectives": params.objectives.model_copy(update={"stream": stream}),
            "candidates": params.candidates.model_copy(
                update={"size": 3, "negatives": "outside_recent", "draws": draws}
            ),
            "split": params.split.model_copy(update={"min_history": 1, "history_length": LENGTH}),
            "projector": params.projector.model_copy(update={"hidden": 6}),
            "lora": params.lora.model_copy(update={"rank": 2, "alpha": 4, "dropout": 0.3}),
            "curriculum": params.curriculum.model_copy(update={"schedule": schedule}),
            "train": params.train.model_copy(update={"precision": precision}),
            "llm": params.llm.model_copy(update={"name": "tiny"}),
            "llms": {"tiny": llm_entry},
            "eval": params.eval.model_copy(update={"mode": mode, "batch_size": 2}),
        }
        return params.model_copy(update=sections)

    return make


def _sequences() -> Sequences:
    """Leave one out: of three items and more the last tests and the one before validates."""
    made = make_sequences(LISTS, ["train"] * len(LISTS))
    held_out = made.lengths >= 3
    return replace(
        made,
        train_end=(made.lengths - 2 * held_out).astype(np.int32),
        validation_end=(made.lengths - held_out).astype(np.int32),
    )


def _prepare(folder: Path, params: Params, kind: str) -> tuple[Processed, SequentialRecommender, ItemEmbeddings]:
    """Tables, a recommender with an output table of its own and dropout, and its embeddings, as stages write them."""
    sequences, names = _sequences(), pa.array(TITLES[1:])
    items = Items(names, names, sequences.count_training(len(names)))
    sets = build_candidate_sets(sequences, len(names), params.candidates, LENGTH, 1)
    write_processed(folder, Processed(items, sequences, sets))
    tables = read_processed(folder)
    (folder / "recommender").mkdir()
    encoder = {"name": kind, **OPTIONS[kind], "dropout": 0.5}
    recipe = tiny(kind, tied=False, encoder=encoder)
    torch.manual_seed(3)
    config = RecommenderConfig(recommender=recipe, n_items=len(names), history_length=LENGTH, made_from=tables.lineage)
    save_recommender(folder / "recommender", build_recommender(recipe, len(names), LENGTH), config)
    recommender, lineage = load_recommender(folder / "recommender", tables.lineage)
    write_embeddings(folder / "embeddings", ItemEmbeddings(recommender.items.weight.detach().numpy(), lineage))
    return tables, recommender, read_embeddings(folder / "embeddings", lineage, len(names))


def _run(folder: Path, params: Params, kind: str = "gru4rec") -> tuple[Tuned, Processed, SequentialRecommender]:
    tables, recommender, embeddings = _prepare(folder, params, kind)
    (folder / "checkpoints").mkdir()
    (folder / "adapter").mkdir()
    tuned = tune(params, tables, recommender, embeddings, folder / "checkpoints")
    save_adapter(folder / "adapter", tuned.adapted, tuned.model.projector, tuned.manifest, tuned.head)
    return tuned, tables, recommender


def _judge(folder: Path, params: Params) -> Judged:
    made = read_artifacts(
        folder, folder / "recommender", folder / "embeddings", folder / "adapter", folder / "candidates.parquet"
    )
    judged = judge(params, made, folder / "pieces")
    shutil.rmtree(folder / "pieces")  # as the stage does when it has succeeded
    assert judged is not None
    return judged


@torch.no_grad()
def _slow_scores(
    tuned: Tuned, recommender: SequentialRecommender, histories: HistoryEncoder, sets: CandidateSets, mode: str
) -> tuple[np.ndarray, np.ndarray]:
    """The language model's and the recommender's scores of every list, one history at a time."""
    tuned.model.eval()
    sequences, vectors, ours, theirs = _sequences(), recommender.output_weights, [], []
    for user, position, candidates in zip(sets.user_ids, sets.positions, sets.candidates.tolist(), strict=True):
        history = sequences.items_of(user - 1)[max(0, position - LENGTH) : position].tolist()
        batch = pad_histories([histories.encode(history, mode)], 1)
        batch.pop("readouts")
        state = tuned.head["weight"] @ tuned.model.states(**batch)[0, -1] + tuned.head["bias"]
        ours.append((vectors[candidates] @ state).tolist())
        theirs.append(recommender.next_item_scores(torch.tensor([history]))[0, candidates].tolist())
    return np.array(ours), np.array(theirs)


def _hits(scores: np.ndarray, sets: CandidateSets) -> list[bool]:
    return [int((row >= row[i] - 1e-9).sum()) == 1 for row, i in zip(scores, sets.target_indices, strict=True)]


@pytest.mark.parametrize(("kind", "schedule", "layers"), [("gru4rec", "hybrid_only", 1), ("hstu", "text_only", None)])
def test_what_is_judged_is_what_was_tuned(
    tmp_path: Path,
    make_params: Callable[..., Params],
    histories: HistoryEncoder,
    kind: str,
    schedule: str,
    layers: int | None,
) -> None:
    params = make_params(schedule, layers=layers)
    tuned, tables, recommender = _run(tmp_path, params, kind)
    found = _judge(tmp_path, params)
    read_as = "text" if schedule == "text_only" else "hybrid"
    validation, test = tables.sets.of("validation"), tables.sets.of("test")
    ours, theirs = _slow_scores(tuned, recommender, histories, test, read_as)
    np.testing.assert_allclose(found.answered.predictions["llara"].scores, ours, rtol=1e-4, atol=1e-5)
    metrics = headline(found.answered, found.weight)
    assert metrics["llara"]["hit_ratio_at_1"] == pytest.approx(np.mean(_hits(ours, test)))
    assert metrics["recommender"]["hit_ratio_at_1"] == pytest.approx(np.mean(_hits(theirs, test)))
    before = [zscore(part, axis=1) for part in _slow_scores(tuned, recommender, histories, validation, read_as)]
    weights = np.linspace(0, 1, 21)
    hits = [sum(_hits(w * before[0] + (1 - w) * before[1], validation)) for w in weights]
    best = [place for place, count in enumerate(hits) if count == max(hits)]
    weight = weights[best[len(best) // 2]]
    together = weight * zscore(ours, axis=1) + (1 - weight) * zscore(theirs, axis=1)
    row = metrics["llara_with_recommender"]
    assert row["weight"] == pytest.approx(weight)
    assert row["hit_ratio_at_1"] == pytest.approx(np.mean(_hits(together, test)))
    assert metrics["lists"]["n_lists"] == len(test)


def test_only_the_layers_that_are_asked_for_are_tuned_and_all_parts_are_watched(
    tmp_path: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    class Noting(Watch):
        def __init__(self, model: nn.Module, *arguments: Any) -> None:
            seen["watched"] = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
            super().__init__(model, *arguments)
            seen["watch"] = self

    build = tuning.build_objective

    def note(name: str, sources: Any) -> StreamObjective:
        seen["teaches"] = not any(part.training for part in sources.recommender.modules())
        seen["objective"] = build(name, sources)
        return seen["objective"]

    monkeypatch.setattr(tuning, "Watch", Noting)
    monkeypatch.setattr(tuning, "build_objective", note)
    params = make_params(distillation=0.4)
    tuned, *_ = _run(tmp_path, params)
    assert tuned.manifest.layers == len(tuned.model.llm.model.layers) == 1
    assert seen["watched"] == {"hybrid", "head"}
    assert seen["teaches"]
    objective, best = seen["objective"], seen["watch"]._best
    for name, weight in {**dict(objective.model.named_parameters()), "head.map.weight": tuned.head["weight"]}.items():
        assert name not in best or torch.equal(weight, best[name]), name
    assert objective.model.distillation == 0.4
    assert len(objective._validation.targets) <= 9
    assert {example.following[0] >= 0 for example in (objective.plan[i] for i in range(12))} == {True}  # min_history 1
    assert tuned.report["validation"]["hit_ratio_at_1"]["tuned"] == pytest.approx(objective.validate())
    assert objective.validate() == objective.validate()  # without dropout


def test_the_history_that_targets_need_is_that_of_params(make_params: Callable[..., Params], tmp_path: Path) -> None:
    params = make_params()
    deeper = params.model_copy(update={"split": params.split.model_copy(update={"min_history": 2})})
    chunks = []
    original = tuning.build_objective

    def note(name: str, sources: Any) -> StreamObjective:
        built = original(name, sources)
        chunks.extend(built.plan[i] for i in range(12))
        return built

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "build_objective", note)
        _run(tmp_path, deeper)
    starts = {tuple(user[:1]) for user in LISTS}
    first = [chunk.following[0] for chunk in chunks if (chunk.items[0],) in starts and len(chunk.items) > 1]
    assert first
    assert all(item == -100 for item in first)


@pytest.mark.parametrize("schedule", ["hybrid_only", "text_only"])
def test_validation_has_the_precision_of_training(
    tmp_path: Path, make_params: Callable[..., Params], schedule: str
) -> None:
    """At no rate to speak of, what is measured after training is what was measured before."""
    still = {"lr": 1e-30, "projector_lr": 1e-30, "head_lr": 1e-30}
    tuned, *_ = _run(tmp_path, make_params(schedule, precision="bfloat16", **still))
    found = tuned.report["validation"]["hit_ratio_at_1"]
    assert found["untuned"] == found["tuned"]


def test_the_precision_of_params_reaches_validation_but_not_the_sums_over_items(
    tmp_path: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[Tensor] = []
    built: list[StreamObjective] = []
    original = tuning.build_objective

    def note(name: str, sources: Any) -> StreamObjective:
        built.append(original(name, sources))
        read = built[0].model.read
        built[0].model.read = lambda *parts, **named: states.append(read(*parts, **named)) or states[-1]
        return built[0]

    monkeypatch.setattr(tuning, "build_objective", note)
    _run(tmp_path, make_params(precision="bfloat16"))
    states.clear()
    [objective] = built
    objective.validate()
    [*coarse] = states
    states.clear()
    objective._precision = "float32"
    objective.validate()
    assert not any(torch.equal(one, other) for one, other in zip(coarse, states, strict=True))
    batch = objective.collate([objective.plan[0]])
    with torch.autocast("cpu", torch.bfloat16):
        assert objective.model(**batch).dtype == torch.float32


def test_weights_that_are_no_numbers_are_not_chosen(
    tmp_path: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(self: Watch, step: int) -> None:
        for weight in self._average.values():
            weight.fill_(torch.nan)

    monkeypatch.setattr(Watch, "_update", spoil)
    with pytest.raises(ModelError, match="must be finite numbers, got nan"):
        _run(tmp_path, make_params())


def _linear(make_params: Callable[..., Params], **changes: Any) -> Params:
    """Twelve steps of which the first five are text-only, measured after every one."""
    validation = make_params().objectives.stream.validation.model_copy(update={"times": 12, "patience": 99})
    return make_params(
        "linear", batch_size=2, micro_batch_size=2, examples_per_epoch=24, validation=validation, **changes
    )


def test_weights_are_chosen_and_asked_in_one_mode(
    tmp_path: Path, make_params: Callable[..., Params], histories: HistoryEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the first measurement is the best: it isn't taken before the mode has been trained."""
    monkeypatch.setattr(Watch, "best_step", property(lambda self: min(self.scores)))
    params = _linear(make_params)
    tuned, tables, recommender = _run(tmp_path, params)
    assert [row["hybrid_share"] for row in tuned.curve][:7] == [0] * 5 + [1] * 2
    assert [row["validation"] is None for row in tuned.curve] == [True] * 5 + [False] * 7
    assert tuned.report["validation"]["hit_ratio_at_1"]["step"] == 6
    assert tuned.manifest.modes == ["hybrid", "text"]
    assert tuned.manifest.choose_mode("as_trained") == "hybrid"
    test = tables.sets.of("test")
    ours, _ = _slow_scores(tuned, recommender, histories, test, "hybrid")
    np.testing.assert_allclose(
        _judge(tmp_path, params).answered.predictions["llara"].scores, ours, rtol=1e-4, atol=1e-5
    )


def test_the_head_starts_from_all_modes_of_the_curriculum(
    tmp_path: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[str, set[Chunk]]] = []
    original = StreamObjective._read

    def note(self: StreamObjective, chunks: list[Chunk], mode: str) -> Any:
        read.append((mode, set(chunks)))
        return original(self, chunks, mode)

    monkeypatch.setattr(StreamObjective, "_read", note)
    _run(tmp_path, _linear(make_params))
    modes = [mode for mode, _ in read]
    assert modes[:2] == ["hybrid", "text"]  # the head's start; then validation
    assert set(modes[2:]) == {"hybrid"}
    assert [len(chunks) for _, chunks in read[:2]] == [3, 2]
    assert not read[0][1] & read[1][1]  # in turn, and each but once


def test_text_is_not_asked_of_a_head_that_never_read_it(tmp_path: Path, make_params: Callable[..., Params]) -> None:
    _run(tmp_path, make_params())
    with pytest.raises(ArtifactError, match="eval.mode must be as_trained or hybrid, .* got text"):
        _judge(tmp_path, make_params(mode="text"))


def test_a_head_of_another_recommender_is_refused_before_the_model_is_loaded(
    tmp_path: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned, *_ = _run(tmp_path, make_params())

    def load(*_: Any) -> None:
        pytest.fail("loaded")

    monkeypatch.setattr(artifacts, "load_base_llm", load)
    dim, width = tuned.head["weight"].shape
    for shape in ((dim + 1, width), (dim, width + 1), (7, dim)):
        head = {"weight": torch.zeros(shape), "bias": torch.zeros(shape[0])}
        if shape == (7, dim):  # for nine items, padding among them
            head = {**tuned.head, "item_vectors": torch.zeros(shape)}
        shutil.rmtree(tmp_path / "adapter")
        (tmp_path / "adapter").mkdir()
        save_adapter(tmp_path / "adapter", tuned.adapted, tuned.model.projector, tuned.manifest, head)
        found = rf"head.safetensors: (weight|bias|item_vectors) must have shape \(.*\), got \({shape[0]}"
        with pytest.raises(ArtifactError, match=found):
            _judge(tmp_path, make_params())


def test_chunks_must_hold_what_evaluation_shows(
    tmp_path: Path, make_params: Callable[..., Params], histories: HistoryEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = [len(histories.encode([1, item], "hybrid").prompt.input_ids) for user in LISTS for item in user]
    first = len(histories.encode([1], "hybrid").prompt.input_ids)
    needed = int(np.ceil(LENGTH * (np.mean(lengths) - first)))
    monkeypatch.setattr(tuning, "load_base_llm", lambda *_: pytest.fail("loaded"))
    with pytest.raises(
        ParamsError, match=f"chunk_tokens must be ≥ {needed}, as many as split.history_length 3 items take"
    ):
        _run(tmp_path, make_params(chunk_tokens=needed - 1))
    monkeypatch.undo()
    (tmp_path / "enough").mkdir()
    _run(tmp_path / "enough", make_params(chunk_tokens=needed))


def test_chunks_fit_into_what_the_language_model_can_read(
    tmp_path: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "load_base_llm", lambda *_: pytest.fail("loaded"))
    with pytest.raises(
        ParamsError, match="chunk_tokens must be ≤ 1024, what this language model can read beside .*, got 1025"
    ):
        _run(tmp_path, make_params(chunk_tokens=1025))


def test_the_beginning_of_text_takes_room_too(
    tmp_path: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a tokenizer that begins texts with a token, chunks as long as the model's context would be too long."""
    tokenizer = make_sentencepiece("first")
    context = 60
    monkeypatch.setattr(tuning, "load_tokenizer", lambda _: (tokenizer, context))
    with pytest.raises(ParamsError, match="chunk_tokens must be ≤ (59|58), .* beside the beginning of a text, got 60"):
        _run(tmp_path, make_params(chunk_tokens=context))
    (tmp_path / "enough").mkdir()
    _run(tmp_path / "enough", make_params(chunk_tokens=58))


COUNTS = np.array([0, 1, 3, 5, 1, 5, 5, 5, 0])
"""Training interactions by item id, as tests of rare items take them to be."""


def test_rare_items_get_the_vectors_of_their_titles(
    tmp_path: Path, make_params: Callable[..., Params], histories: HistoryEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Items, "popularity", COUNTS)
    how = TitleVectors(below=3, penalty=2.0)
    still = {"lr": 1e-30, "projector_lr": 1e-30, "head_lr": 1e-30}
    tuned, tables, recommender = _run(tmp_path, make_params(title_vectors=how, **still))
    rare = [1, 4, 8]
    vectors, original = tuned.head["item_vectors"], recommender.output_weights.detach()
    tuned.model.eval()
    states = []
    for item in range(1, 9):
        batch = pad_histories([histories.encode([item], "text")], 1)
        batch.pop("readouts")
        with torch.no_grad():
            states.append(tuned.model.states(**batch)[0, -1].numpy())
    known = [item for item in range(1, 9) if item not in rare]
    scaler = StandardScaler().fit([states[item - 1] for item in known])
    ridge = Ridge(alpha=2.0).fit(scaler.transform([states[i - 1] for i in known]), original[known].numpy())
    np.testing.assert_allclose(
        vectors[rare], ridge.predict(scaler.transform([states[i - 1] for i in rare])), rtol=1e-3, atol=1e-4
    )
    assert torch.equal(vectors[known], original[known])
    own = tuned.head["weight"].numel() + tuned.head["bias"].numel()
    assert tuned.report["trainable_parameters"]["head"] == own
    found = _judge(tmp_path, make_params(title_vectors=how))
    test = tables.sets.of("test")
    with torch.no_grad():
        for row, (user, position) in enumerate(zip(test.user_ids, test.positions, strict=True)):
            history = _sequences().items_of(user - 1)[max(0, position - LENGTH) : position].tolist()
            batch = pad_histories([histories.encode(history, "hybrid")], 1)
            batch.pop("readouts")
            state = tuned.head["weight"] @ tuned.model.states(**batch)[0, -1] + tuned.head["bias"]
            expected = vectors[test.candidates[row]] @ state
            np.testing.assert_allclose(found.answered.predictions["llara"].scores[row], expected, rtol=1e-4, atol=1e-5)


def test_rare_items_are_compared_with_nothing_in_training(
    tmp_path: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Items, "popularity", COUNTS)
    built: list[StreamObjective] = []
    original = tuning.build_objective
    monkeypatch.setattr(tuning, "build_objective", lambda *a: built.append(original(*a)) or built[0])
    params = make_params(title_vectors=TitleVectors(below=3, penalty=2.0), distillation=0.5)
    _, tables, recommender = _run(tmp_path, params)
    [objective] = built
    model, rare = objective.model.eval(), tables.items.popularity[1:] < 3
    batch = objective.collate([objective.plan[i] for i in range(2)])
    following = [item for i in range(2) for item in objective.plan[i].following if item > 0]
    assert sorted(item for item in following if not rare[item - 1]) == sorted(
        batch["labels"][batch["labels"] >= 0].tolist()
    )
    assert any(rare[item - 1] for item in following)
    total = 0.0
    with torch.no_grad():
        states = model.head(model.read(**{k: batch[k] for k in ("input_ids", "slot_mask", "slot_items", "readouts")}))
        taught = recommender(batch["history"])
        among = [item for item in range(1, 9) if not rare[item - 1]]
        for row, column in (batch["labels"] >= 0).nonzero().tolist():
            logits = (recommender.output_weights[among] @ states[row, column]).log_softmax(0)
            weights = (recommender.output_weights[among] @ taught[row, column]).softmax(0)
            total -= 0.5 * float(logits[among.index(int(batch["labels"][row, column]))] + (weights * logits).sum())
        assert float(model(**batch)) == pytest.approx(total, rel=1e-4)
        model.distillation = 0.0
        drawn = [among[0], among[2], among[2]]
        by_hand = 0.0
        for row, column in (batch["labels"] >= 0).nonzero().tolist():
            scores, target = recommender.output_weights @ states[row, column], int(batch["labels"][row, column])
            others = sum(len(among) / 3 * scores[item].exp() for item in drawn if item != target)
            by_hand -= float(torch.log(scores[target].exp() / (scores[target].exp() + others)))
        assert float(model(**batch, negatives=torch.tensor(drawn))) == pytest.approx(by_hand, rel=1e-4)
        seen: list[np.ndarray] = []
        monkeypatch.setattr(objectives, "expected_hits", lambda scores, *_: seen.append(scores) or np.zeros(1))
        objective.validate()  # where they are compared
        states = torch.cat([states for _, states in objective._read(objective._validation.chunks, "hybrid")])
        torch.testing.assert_close(torch.from_numpy(seen[0]), model.head.scores(model.head(states)))
    sampled = objective.recipe.sampled.model_copy(update={"beyond": 1, "negatives": 200})
    objective.recipe = objective.recipe.model_copy(update={"sampled": sampled})
    assert set(objective.collate([objective.plan[0]])["negatives"].tolist()) == set(among)


def test_cold_targets_are_reported_where_there_are_any(tmp_path: Path, make_params: Callable[..., Params]) -> None:
    _, tables, _ = _run(tmp_path, make_params())
    made = read_artifacts(
        *(tmp_path / name for name in ("", "recommender", "embeddings", "adapter", "candidates.parquet"))
    )
    test = tables.sets.of("test")

    def cold(items: Items) -> dict[str, dict[str, float]]:
        found = judge(make_params(), replace(made, tables=replace(tables, items=items)), tmp_path / "pieces")
        models = details(found.answered, items, 3, made.embeddings.vectors)["models"]
        return {
            name: row["by_target_n_train"][_COLD] for name, row in models.items() if _COLD in row["by_target_n_train"]
        }

    assert cold(tables.items) == {}
    never = int(test.targets[0])
    counts = tables.items.n_train.copy()
    counts[never - 1] = 0
    found = cold(replace(tables.items, n_train=counts))
    is_cold = test.targets == never
    assert 0 < is_cold.sum() < len(test)
    assert {row["n_lists"] for row in found.values()} == {is_cold.sum()}
    expected = candidate_metrics(neural_scorer(made.recommender), tables.sequences, test.select(is_cold), LENGTH)
    assert found["recommender"]["hit_ratio_at_1"] == pytest.approx(expected["hit_ratio_at_1"])


def test_a_step_without_targets_teaches_nothing_and_is_no_reason_to_stop(
    tmp_path: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Items, "popularity", np.array([0, 0, 0, 0, 0, 0, 0, 5, 5]))
    few = {"batch_size": 2, "micro_batch_size": 1, "examples_per_epoch": 24}
    tuned, *_ = _run(tmp_path, make_params(title_vectors=TitleVectors(below=3, penalty=2.0), **few))
    losses = [row["loss"] for row in tuned.curve]
    assert len(losses) == 12
    assert 0.0 in losses
    assert all(np.isfinite(losses))


def test_so_many_positions_are_validated(tmp_path: Path, make_params: Callable[..., Params]) -> None:
    found: list[int] = []
    original = tuning.build_objective

    def note(name: str, sources: Any) -> StreamObjective:
        built = original(name, sources)
        found.append(len(built._validation.targets))
        return built

    for positions in (2, 9):
        (tmp_path / str(positions)).mkdir()
        validation = make_params().objectives.stream.validation.model_copy(update={"positions": positions})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tuning, "build_objective", note)
            _run(tmp_path / str(positions), make_params(validation=validation))
    assert found == [2, 5]  # five users have one


def test_a_mode_that_comes_after_the_weights_that_are_kept_is_none_of_theirs(
    tmp_path: Path, make_params: Callable[..., Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StepPlan, "modes_of", lambda self, step: ["hybrid" if step <= 6 else "text"] * 2)
    monkeypatch.setattr(Watch, "best_step", property(lambda self: min(self.scores)))
    tuned, *_ = _run(tmp_path, _linear(make_params))
    assert [row["hybrid_share"] for row in tuned.curve] == [1] * 6 + [0] * 6
    assert tuned.manifest.modes == ["hybrid"]
