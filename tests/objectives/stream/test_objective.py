from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import LlamaForCausalLM

from llara_core.hybrid.adapter import attach_lora, build_hybrid
from llara_core.hybrid.recommender_head import RecommenderMap
from llara_core.objectives.objective import Sources
from llara_core.objectives.stream.batching import pad_histories
from llara_core.objectives.stream.chunks import Chunk
from llara_core.objectives.stream.objective import StreamObjective
from llara_core.objectives.stream.validation import expected_hits
from llara_core.params.objectives import Ridge
from llara_core.params.params import Params
from llara_core.params.projector import Fusion
from llara_core.params.sections import Lora
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.histories import HistoryEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.recommenders.model import SequentialRecommender
from llara_core.runtime.logs import LOGGER
from llara_core.tables.items import Items
from llara_core.tables.processed import Processed
from tests.conftest import TITLES, make_llama
from tests.factories import APPEND, FUSIONS, PROJECTOR, make_sequences
from tests.objectives.stream.conftest import BASE

by_fusion = pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: fusion.kind)
LISTS = [[1, 2, 3, 4, 5, 6, 7, 8] * 2, [8, 6, 4, 2, 1, 3, 5, 7], [2, 4, 6, 8, 1, 3], [5, 6, 7, 8, 1]]


@pytest.fixture
def build(
    llama: LlamaForCausalLM,
    recommender: SequentialRecommender,
    params: Params,
    writer: PromptWriter,
    encoder: PromptEncoder,
) -> Callable[..., StreamObjective]:
    def make(fusion: Fusion = APPEND, **changes: object) -> StreamObjective:
        small = {"examples_per_epoch": 12, "batch_size": 4, "micro_batch_size": 2, "chunk_tokens": 40}
        small |= {"item_dropout": 0.0, "state_dropout": 0.0}
        schedule = changes.pop("schedule", "linear")
        stream = params.objectives.stream.model_copy(update=small | changes)
        sections = {
            "objectives": params.objectives.model_copy(update={"stream": stream}),
            "candidates": params.candidates.model_copy(update={"size": 3, "negatives": "outside_recent"}),
            "split": params.split.model_copy(update={"min_history": 2, "history_length": 3}),
            "curriculum": params.curriculum.model_copy(update={"schedule": schedule}),
        }
        titles = pa.array(TITLES[1:])
        items = Items(titles, titles, np.zeros(8, dtype=np.int32))
        sequences = make_sequences(LISTS, ["train", "train", "validation", "test"])
        adapted = attach_lora(
            make_llama(llama.config.vocab_size), Lora(rank=2, alpha=4, dropout=0.0, targets="all-linear"), BASE
        )
        vectors = np.asarray(recommender.output_weights.detach())
        hybrid = build_hybrid(adapted.get_base_model(), vectors, PROJECTOR, fusion)
        tables = Processed(items, sequences, None)
        own = replace(writer, fusion=fusion.kind)
        return StreamObjective(
            Sources(params.model_copy(update=sections), tables, recommender, lambda: hybrid, own, encoder)
        )

    return make


def test_only_training_users_items_are_read_and_asked_for(build: Callable[..., StreamObjective]) -> None:
    objective = build()
    assert len(objective.plan) == 12
    trained = [LISTS[0], LISTS[1]]
    for i in range(12):
        example = objective.plan[i]
        whole = [*example.items, example.following[-1]]
        assert any(whole == user[k : k + len(whole)] for user in trained for k in range(len(user)))


@by_fusion
@pytest.mark.parametrize("mode", ["hybrid", "text"])
def test_what_is_trained_on_is_shown_as_the_fusion_says(
    build: Callable[..., StreamObjective], encoder: PromptEncoder, fusion: Fusion, mode: str
) -> None:
    objective, histories = build(fusion, schedule=f"{mode}_only"), HistoryEncoder(encoder, TITLES, fusion.kind)
    examples = [objective.plan[i] for i in range(12)]
    expected = [histories.encode(example.items, mode) for example in examples]
    batch = objective.collate(examples)
    for row, history in enumerate(expected):
        prompt, n = history.prompt, len(history.prompt.input_ids)
        assert batch["input_ids"][row, :n].tolist() == prompt.input_ids
        assert batch["slot_mask"][row, :n].tolist() == prompt.slot_mask
        assert not batch["slot_mask"][row, n:].any()
        assert batch["readouts"][row, : len(history.readouts)].tolist() == history.readouts
    assert batch["slot_items"].tolist() == [item for history in expected for item in history.prompt.slot_items]


@by_fusion
def test_the_head_starts_from_pairs_of_states_of_the_same_history(
    build: Callable[..., StreamObjective],
    recommender: SequentialRecommender,
    encoder: PromptEncoder,
    monkeypatch: pytest.MonkeyPatch,
    fusion: Fusion,
) -> None:
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []

    def fit(_: RecommenderMap, states: torch.Tensor, user_states: torch.Tensor, penalty: float) -> float:
        assert penalty == 7.0
        pairs.extend(zip(states, user_states, strict=True))
        return 0.0

    monkeypatch.setattr(RecommenderMap, "fit", fit)
    objective = build(fusion, ridge=Ridge(positions=10, penalty=7.0))
    histories = HistoryEncoder(encoder, TITLES, fusion.kind)
    assert len(pairs) >= 10
    known = []
    for user in LISTS[:2]:
        for start in range(len(user)):
            for end in range(start + 1, min(len(user), start + recommender.max_length) + 1):
                history = pad_histories([histories.encode(user[start:end], "hybrid")], 1)
                with torch.no_grad():
                    read = objective.model.read(**history)[0, -1]
                    known.append((read, recommender(torch.tensor([user[start:end]]))[0, -1]))
    for state, user_state in pairs:
        assert any(torch.allclose(state, s, atol=1e-4) and torch.allclose(user_state, u, atol=1e-5) for s, u in known)
    assert len({tuple(state.tolist()) for state, _ in pairs}) >= 10


def test_the_same_params_build_the_same_objective(build: Callable[..., StreamObjective]) -> None:
    torch.manual_seed(0)
    first = build()
    torch.manual_seed(0)
    second = build()
    assert torch.equal(first.model.head.map.weight, second.model.head.map.weight)
    assert first.validate() == second.validate()


def test_three_groups_have_their_rates(build: Callable[..., StreamObjective]) -> None:
    objective = build(lr=0.1, projector_lr=0.2, head_lr=0.3)
    groups = objective.rates()
    assert [rate for _, rate in groups] == [0.1, 0.2, 0.3]
    grouped = [id(weight) for weights, _ in groups for weight in weights]
    trained = [id(weight) for weight in objective.model.parameters() if weight.requires_grad]
    assert sorted(grouped) == sorted(trained)
    names = {id(weight): name for name, weight in objective.model.named_parameters()}
    assert {names[id(weight)].split(".")[0] for weight in groups[2][0]} == {"head"}
    assert set(objective.head) == {"weight", "bias"}


def test_large_catalogues_draw_negatives_by_step_alone(build: Callable[..., StreamObjective]) -> None:
    assert "negatives" not in build().collate([build().plan[0]])
    sampled = build().recipe.sampled.model_copy(update={"beyond": 7, "negatives": 500})
    objective = build(sampled=sampled)
    steps = [[objective.collate([objective.plan[i]])["negatives"] for i in (4 * s, 4 * s + 3)] for s in range(2)]
    assert torch.equal(*steps[0])
    assert not torch.equal(steps[0][0], steps[1][0])
    counts = torch.bincount(steps[0][0], minlength=9)
    assert counts[0] == 0
    assert counts[1:].min() > 30  # 62 expected


def test_validation_is_the_hit_ratio_of_validation_users(
    build: Callable[..., StreamObjective], encoder: PromptEncoder
) -> None:
    objective, histories = build(), HistoryEncoder(encoder, TITLES, "append")
    room = int(histories.lengths[LISTS[2][:5]].sum())
    assert build(chunk_tokens=room)._validation.chunks == [Chunk(24, 29, 26)]
    assert len(build(chunk_tokens=room - 1)._validation.chunks) == 2
    objective.model.train()
    found = objective.validate()
    assert objective.model.training
    # User 3's items 2 to 5, each with what stands before it; negatives are all but the last three.
    objective.model.eval()
    hits = []
    for position in range(2, 6):
        history = histories.encode(LISTS[2][:position], "hybrid")
        with torch.no_grad():
            states = objective.model.read(**pad_histories([history], 1))[0, position - 1]
            scores = objective.model.head.scores(objective.model.head(states))[None].numpy()
        recent = np.array(LISTS[2][max(0, position - 3) : position])
        hits.append(expected_hits(scores, np.array([LISTS[2][position]]), [recent], 3)[0])
    assert found == pytest.approx(np.mean(hits), abs=1e-6)


def test_text_only_training_is_validated_on_text(build: Callable[..., StreamObjective]) -> None:
    text = build(schedule="text_only")
    before = text.validate()
    text.model.hybrid.item_embeddings += 1
    assert text.validate() == before
    assert build().plan.last_mode == "hybrid"


def test_features_are_dropped_by_step_and_place_however_a_step_is_divided(
    build: Callable[..., StreamObjective],
) -> None:
    assert "noise" not in build().collate([build().plan[0]])
    objective = build(state_dropout=0.25, examples_per_epoch=400)
    examples = [objective.plan[i] for i in range(4)]
    together = objective.collate(examples)["noise"]
    assert together.shape == (4, max(len(example.items) for example in examples), 16)
    for row, example in enumerate(examples):
        alone = objective.collate([example])["noise"][0]
        assert torch.equal(together[row, : len(example.items)], alone)
    many = torch.cat([objective.collate([objective.plan[i]])["noise"].flatten() for i in range(400)])
    assert many.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert float((many == 0).float().mean()) == pytest.approx(0.25, abs=4 * (0.1875 / len(many)) ** 0.5)
    later = next(objective.plan[i] for i in range(4, 400) if set(objective.plan[i].places) & set(examples[0].places))
    shared = next(place for place in later.places if place in examples[0].places)
    first, second = (objective.collate([e])["noise"][0, e.places.index(shared)] for e in (examples[0], later))
    assert not torch.equal(first, second)


def test_dropped_features_do_not_reach_the_head(build: Callable[..., StreamObjective]) -> None:
    objective = build(state_dropout=0.25, distillation=0.0)
    model = objective.model.eval()
    batch = objective.collate([objective.plan[i] for i in range(2)])
    with torch.no_grad():
        found = float(model(**batch))
        states = model.read(**{k: batch[k] for k in ("input_ids", "slot_mask", "slot_items", "readouts")})
        centre = objective.model.head.map.centre
        assert centre.abs().min() > 0
        user_states = model.head(centre + (states - centre) * batch["noise"])
        total = 0.0
        for row, column in (batch["labels"] >= 0).nonzero().tolist():
            scores = model.head.item_vectors[1:] @ user_states[row, column]
            total -= float(scores.log_softmax(0)[batch["labels"][row, column] - 1])
    assert found == pytest.approx(total, rel=1e-5)
    del batch["noise"]
    with torch.no_grad():
        assert float(model(**batch)) != pytest.approx(total, rel=1e-3)
    assert build(state_dropout=0.9).validate() == build().validate()


def test_items_are_left_out_as_params_say(build: Callable[..., StreamObjective]) -> None:
    whole, part = build(), build(item_dropout=0.4)
    items = [[sum(len(made.plan[i].items) for i in range(12))] for made in (whole, part)]
    assert items[1] < items[0]
    read = [list(made._read(made._validation.chunks, "hybrid")) for made in (whole, part)]
    assert torch.equal(*(torch.cat([states for _, states in batches]) for batches in read))  # but none in validation
    assert torch.equal(*(made.model.head.map.weight for made in (whole, part)))  # or where the head starts


@pytest.mark.parametrize(("beyond", "warns"), [(7, False), (8, True)])
def test_advice_where_all_of_many_items_are_compared(
    build: Callable[..., StreamObjective],
    params: Params,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    beyond: int,
    warns: bool,
) -> None:
    monkeypatch.setattr("llara_core.objectives.stream.objective._MANY_ITEMS", 5)
    monkeypatch.setattr(LOGGER, "propagate", True)
    build(sampled=params.objectives.stream.sampled.model_copy(update={"beyond": beyond}))
    said = "a catalogue of 8 items, all compared at every step: with objectives.stream.sampled.beyond below it"
    assert (said in caplog.text) == warns
