from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from llara_core.errors import ArtifactError, ModelError
from llara_core.hybrid.adapter import AdapterManifest
from llara_core.objectives.asking import Tuned
from llara_core.objectives.stream.batching import pad_histories
from llara_core.objectives.stream.model import StreamModel
from llara_core.objectives.stream.respondent import StreamRespondent
from llara_core.params.params import Params
from llara_core.params.projector import Fusion
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.histories import HistoryEncoder
from llara_core.prompting.segments import Mode, PromptWriter
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.items import Items
from llara_core.tables.processed import Processed
from tests.conftest import TITLES
from tests.factories import APPEND, FUSIONS, PROJECTOR, make_sequences, make_sets
from tests.objectives.stream.conftest import BASE

pytestmark = pytest.mark.every_family

Make = Callable[..., StreamModel]
HISTORIES = np.array([[0, 0, 5], [1, 2, 3], [0, 8, 1], [4, 6, 7]])


@pytest.fixture
def sets() -> CandidateSets:
    """Two draws for user 1, whose latest items are 7, 8 and 4, and one for user 2."""
    return make_sets(
        example_ids=[0, 0, 1],
        draws=[0, 1, 0],
        user_ids=[1, 1, 2],
        positions=[4, 4, 1],
        targets=[6, 6, 2],
        candidates=[[6, 1, 2], [3, 6, 5], [2, 8, 7]],
    )


@pytest.fixture
def respond(
    make_model: Make, params: Params, writer: PromptWriter, encoder: PromptEncoder, tmp_path: Path
) -> Callable[..., tuple[StreamRespondent, StreamModel]]:
    def build(
        mode: Mode = "hybrid", batch_size: int = 2, fusion: Fusion = APPEND, *, exclude_seen: bool = True
    ) -> tuple[StreamRespondent, StreamModel]:
        model = make_model(0.0, fusion)
        manifest = AdapterManifest(
            llm=BASE,
            objective="stream",
            layers=None,
            prompt=params.prompt,
            chat=None,
            nouns=params.datasets["ml-100k"].nouns,
            history_length=3,
            projector=PROJECTOR,
            fusion=fusion,
            modes=["text", "hybrid", "id"],
            made_from={},
        )
        titles = pa.array(TITLES[1:])
        items = Items(titles, titles, np.zeros(8, dtype=np.int32))
        sequences = make_sequences([[5, 7, 8, 4, 6], [1, 2]], ["test", "test"])
        tables = Processed(items, sequences, None)
        how = params.eval.model_copy(update={"mode": mode, "batch_size": batch_size, "exclude_seen": exclude_seen})
        [recommender] = model._teacher
        tuned = Tuned(
            model.hybrid,
            tmp_path,
            manifest,
            model.head.map.state_dict(),
            recommender,
            tables,
            replace(writer, fusion=fusion.kind),
            encoder,
            how,
            mode,
        )
        return StreamRespondent(tuned), model

    return build


@torch.no_grad()
def _slow_scores(model: StreamModel, histories: HistoryEncoder, row: np.ndarray, mode: Mode) -> list[float]:
    """One history alone, and each item's product one by one."""
    items = [int(item) for item in row if item]
    state = model.head(model.read(**pad_histories([histories.encode(items, mode)], 1))[0, len(items) - 1])
    return [-np.inf, *(float(state @ model.head.item_vectors[item]) for item in range(1, len(TITLES)))]


@pytest.mark.parametrize("batch_size", [1, 3, 4])
@pytest.mark.parametrize("mode", ["hybrid", "text", "id"])
@pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: fusion.kind)
def test_scores_are_those_of_each_history_alone(
    respond: Callable[..., tuple[StreamRespondent, StreamModel]],
    encoder: PromptEncoder,
    fusion: Fusion,
    mode: Mode,
    batch_size: int,
) -> None:
    respondent, model = respond(mode, batch_size, fusion)
    histories = HistoryEncoder(encoder, TITLES, fusion.kind)
    expected = [_slow_scores(model, histories, row, mode) for row in HISTORIES]
    np.testing.assert_allclose(respondent.score(HISTORIES).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_the_candidate_of_the_highest_score_is_the_answer(
    respond: Callable[..., tuple[StreamRespondent, StreamModel]], histories: HistoryEncoder, sets: CandidateSets
) -> None:
    respondent, model = respond()
    assert respondent.choose(sets) is sets  # all draws
    found = respondent.answer(sets)
    shown = [[7, 8, 4], [7, 8, 4], [0, 0, 1]]
    for row, (history, candidates) in enumerate(zip(shown, sets.candidates, strict=True)):
        scores = _slow_scores(model, histories, np.array(history), "hybrid")
        among = [scores[item] for item in candidates]
        assert found.scores[row].tolist() == pytest.approx(among, rel=1e-4)
        assert found.matched_items[row] == candidates[int(np.argmax(among))]
        assert found.answers[row] == TITLES[found.matched_items[row]]


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_targets_are_ranked_among_all_items(
    respond: Callable[..., tuple[StreamRespondent, StreamModel]],
    histories: HistoryEncoder,
    sets: CandidateSets,
    exclude_seen: bool,
) -> None:
    respondent, model = respond(exclude_seen=exclude_seen)
    found = respondent.answer(sets)
    cases = (([7, 8, 4], [5, 7, 8, 4], 6), ([7, 8, 4], [5, 7, 8, 4], 6), ([0, 0, 1], [1], 2))
    for row, (shown, had, target) in enumerate(cases):
        scores = _slow_scores(model, histories, np.array(shown), "hybrid")
        rivals = [item for item in range(1, 9) if not (exclude_seen and item in had)]
        order = sorted(rivals, key=lambda item: -scores[item])
        assert found.catalogue_ranks[row] == 1 + order.index(target)
        assert [item for item in found.top[row].tolist() if item] == order


def test_a_head_that_does_not_fit_is_refused(respond: Callable[..., tuple[StreamRespondent, StreamModel]]) -> None:
    respondent, _ = respond()
    for head, found in (
        ({"weight": torch.zeros(8, 15), "bias": torch.zeros(8)}, "size mismatch for weight"),
        ({}, 'Missing key.*"weight", "bias"'),
    ):
        with pytest.raises(ArtifactError, match=f"head.safetensors: not a usable head: .*{found}"):
            StreamRespondent(replace(respondent._tuned, head=head))


def test_what_computes_no_numbers_is_refused(
    respond: Callable[..., tuple[StreamRespondent, StreamModel]], sets: CandidateSets
) -> None:
    respondent, _ = respond()
    with torch.no_grad():
        respondent.model.head.map.bias[0] = torch.nan
    with pytest.raises(ModelError, match="scores must be finite numbers, got nan"):
        respondent.answer(sets)
