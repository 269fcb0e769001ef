from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaForCausalLM

from llara_core.errors import ArtifactError
from llara_core.evaluation.probes import answer_shuffled, choose_probes, probed, shuffle_histories
from llara_core.hybrid.adapter import AdapterManifest, build_hybrid
from llara_core.objectives.asking import Advance, Respondent, Tuned, best_of, ignore
from llara_core.params.params import Params
from llara_core.params.projector import Fusion, FusionKind
from llara_core.params.sections import Probe
from llara_core.prompting.segments import Item
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.predictions import Predictions
from tests.evaluation.stored import make_asked
from tests.factories import APPEND, FUSIONS, PROJECTOR, folder_llm, make_sequences

ALL: list[Probe] = [
    "text",
    "id",
    "hybrid",
    "vectors_shuffled",
    "vectors_zeroed",
    "history_shuffled",
    "candidates_shuffled",
]


def _manifest(params: Params, objective: str, modes: list[str]) -> AdapterManifest:
    return AdapterManifest(
        llm=folder_llm(Path("llm")),
        objective=objective,
        layers=None,
        prompt=params.prompt,
        chat=None,
        nouns=params.datasets["ml-100k"].nouns,
        history_length=3,
        projector=PROJECTOR,
        fusion=APPEND,
        modes=modes,
        made_from={},
    )


@pytest.mark.parametrize(
    ("objective", "modes", "idle"),
    [
        ("answer", ["hybrid", "text"], {"hybrid"}),
        ("choice", ["text"], {"text", "vectors_shuffled", "vectors_zeroed"}),
        ("stream", ["id"], {"id", "candidates_shuffled"}),
    ],
)
def test_probes_that_change_nothing_are_left_out(
    params: Params, objective: str, modes: list[str], idle: set[str]
) -> None:
    how = params.eval.model_copy(update={"probes": ALL})
    assert choose_probes(how, _manifest(params, objective, modes)) == [probe for probe in ALL if probe not in idle]


@pytest.mark.parametrize(("kind", "refused"), [("append", False), ("replace", False), ("add", True), ("gate", True)])
def test_tokens_that_need_words_cannot_be_asked_alone(params: Params, kind: FusionKind, refused: bool) -> None:
    how = params.eval.model_copy(update={"probes": ["id"]})
    manifest = _manifest(params, "answer", ["hybrid"]).model_copy(update={"fusion": Fusion(kind=kind)})
    if refused:
        with pytest.raises(ArtifactError, match=f"eval.probes must not hold id for an adapter of fusion.kind {kind}"):
            choose_probes(how, manifest)
    else:
        assert choose_probes(how, manifest) == ["id"]


def test_a_stream_cannot_be_asked_without_a_history(params: Params) -> None:
    how = params.eval.model_copy(update={"probes": ["history_removed"]})
    assert choose_probes(how, _manifest(params, "answer", ["hybrid"])) == ["history_removed"]
    with pytest.raises(
        ArtifactError, match="eval.probes must not hold history_removed for an adapter trained by stream"
    ):
        choose_probes(how, _manifest(params, "stream", ["hybrid"]))


@pytest.fixture
def tuned(llama: LlamaForCausalLM, item_embeddings: np.ndarray) -> Tuned:
    hybrid = build_hybrid(llama, item_embeddings, PROJECTOR, APPEND)
    return Tuned(hybrid, *[None] * 8, mode="hybrid")  # type: ignore[list-item, arg-type]


@pytest.mark.parametrize("mode", ["text", "id"])
def test_a_mode_is_all_that_changes(tuned: Tuned, mode: Probe) -> None:
    assert probed(mode, tuned, 0) == replace(tuned, mode=mode)


def test_vectors_are_those_of_other_items_or_zeros(tuned: Tuned) -> None:
    before = tuned.hybrid.item_embeddings.clone()
    shuffled, zeroed = (probed(name, tuned, 0).hybrid for name in ("vectors_shuffled", "vectors_zeroed"))
    assert torch.equal(tuned.hybrid.item_embeddings, before)
    assert not torch.equal(shuffled.item_embeddings, before)
    assert sorted(shuffled.item_embeddings[1:].tolist()) == sorted(before[1:].tolist())
    assert not shuffled.item_embeddings[0].any()
    assert zeroed.item_embeddings.tolist() == torch.zeros_like(before).tolist()
    for other in (shuffled, zeroed):
        assert other.llm is tuned.hybrid.llm
        assert other.projector is tuned.hybrid.projector
        assert not other.training


@torch.no_grad()
@pytest.mark.parametrize("probe", ["vectors_shuffled", "vectors_zeroed"])
@pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: fusion.kind)
def test_other_vectors_are_read_as_the_true_ones_would_be(
    tuned: Tuned, item_embeddings: np.ndarray, probe: Probe, fusion: Fusion
) -> None:
    torch.manual_seed(2)
    hybrid = build_hybrid(tuned.hybrid.llm, item_embeddings, PROJECTOR, fusion)
    for weight in hybrid.projector.parameters():
        weight.normal_(std=0.6)
    asked = probed(probe, replace(tuned, hybrid=hybrid), 0).hybrid
    ids, items = torch.tensor([[5, 6, 7]]), torch.tensor([4, 2])
    words, vectors = hybrid.llm.get_input_embeddings()(ids)[0], asked.item_embeddings[items]
    read = hybrid.projector(vectors)
    if fusion.kind == "gate":
        read = 2 * hybrid.projector.gate(vectors).sigmoid() * read
    if fusion.kind in ("add", "gate"):
        read = words[1:] + read
    found = asked.embed(ids, torch.tensor([[False, True, True]]), items)[0]
    torch.testing.assert_close(found, torch.stack([words[0], *read]))


def test_histories_are_put_out_of_order_or_removed(tuned: Tuned) -> None:
    shown = np.array([[0, 1, 2], [3, 4, 5]])
    tables = type("Tables", (), {"sequences": make_sequences([[1, 2, 7], [3, 4, 5, 8]], ["test"] * 2)})()
    asked = replace(tuned, tables=tables, manifest=type("M", (), {"history_length": 3})())
    sets = make_asked([1, 2]).sets
    sets = replace(sets, positions=np.array([2, 3]))
    assert asked.histories(sets)[0].tolist() == shown.tolist()
    assert probed("history_removed", asked, 0).histories(sets)[0].tolist() == [[0] * 3] * 2
    found = {tuple(probed("history_shuffled", asked, seed).histories(sets)[0][1].tolist()) for seed in range(20)}
    assert len(found) > 3
    assert {tuple(sorted(row)) for row in found} == {(3, 4, 5)}


@given(st.lists(st.lists(st.integers(1, 9), max_size=5), min_size=1, max_size=6), st.integers(0, 99))
def test_a_shuffled_history_depends_on_itself_alone(rows: list[list[int]], seed: int) -> None:
    shown = np.array([[0] * (5 - len(row)) + row for row in rows])
    found = shuffle_histories(shown, seed)
    assert (found != 0).tolist() == (shown != 0).tolist()
    assert np.sort(found, axis=1).tolist() == np.sort(shown, axis=1).tolist()
    for i in range(len(rows)):
        assert shuffle_histories(shown[[i]], seed)[0].tolist() == found[i].tolist()


def test_each_history_has_an_order_of_its_own() -> None:
    shown = np.arange(1, 101).reshape(20, 5)
    assert len({tuple(np.argsort(row)) for row in shuffle_histories(shown, 0)}) > 10


class _LikesLargeNumbers(Respondent):
    """Scores an item by its number, and remembers what it was asked."""

    def choose(self, sets: CandidateSets) -> CandidateSets:
        return sets

    def answer(self, sets: CandidateSets, advance: Advance = ignore) -> Predictions:
        self.asked = sets
        return best_of(sets.candidates, sets.candidates.astype(float), [str(item) for item in range(10)])

    def score_lists(
        self, histories: Sequence[Sequence[Item]], candidates: np.ndarray, advance: Advance = ignore
    ) -> np.ndarray:
        raise NotImplementedError


def test_scores_of_candidates_in_another_order_come_back_in_the_stored_one() -> None:
    sets = make_asked([1, 2, 3, 4, 5, 6, 7, 8]).sets
    respondent = _LikesLargeNumbers()
    found = answer_shuffled(respondent, 0, sets)
    assert found.scores is not None
    assert found.scores.tolist() == sets.candidates.tolist()
    assert found.matched_items.tolist() == sets.candidates.max(axis=1).tolist()
    assert respondent.asked.candidates.tolist() != sets.candidates.tolist()
    assert np.sort(respondent.asked.candidates).tolist() == np.sort(sets.candidates).tolist()
    assert len({tuple(np.argsort(row)) for row in respondent.asked.candidates}) > 2  # not one order for all
