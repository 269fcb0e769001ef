"""Which candidate is chosen, against whole sequences and against histories by hand."""

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from llara_core.evaluation.recommenders import candidate_metrics
from llara_core.hybrid.adapter import build_hybrid
from llara_core.objectives.answer.asking import ask
from llara_core.params.params import Params
from llara_core.prompting.encoding import PromptEncoder
from llara_core.prompting.segments import PromptWriter
from tests.factories import APPEND, PROJECTOR, make_sequences, make_sets

# Titles of very different lengths, so that a sum and a mean over tokens choose differently.
TITLES = ["", *(f"#{item}" + " of the movie" * (item % 3) for item in range(1, 10))]
CANDIDATES = np.array([[1, 2, 3], [4, 5, 9], [8, 6, 7], [3, 1, 5], [2, 6, 1]])
HISTORIES = [[5], [1, 2, 3, 4, 5], [9, 1], [2, 4, 6, 7], [8, 3, 4]]


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 5])
@torch.no_grad()
def test_the_choice_is_that_of_one_whole_sequence_per_candidate(
    llama: LlamaForCausalLM,
    item_embeddings: np.ndarray,
    params: Params,
    encoder: PromptEncoder,
    normalized: bool,
    batch_size: int,
) -> None:
    torch.manual_seed(0)
    vectors = np.concatenate([item_embeddings, item_embeddings[1:2] + 1])
    model = build_hybrid(llama, vectors, PROJECTOR, APPEND).eval()
    writer = PromptWriter.of(params.prompt, params.fusion, params.datasets["ml-100k"].nouns, TITLES)
    prompts = [
        encoder.encode(writer.compose(0, history, row.tolist(), "hybrid"))
        for history, row in zip(HISTORIES, CANDIDATES, strict=True)
    ]
    sums, lengths = np.zeros(CANDIDATES.shape), np.zeros(CANDIDATES.shape)
    for (row, place), item in np.ndenumerate(CANDIDATES):
        prompt, answer = prompts[row], encoder.encode_answer(writer.answer(int(item)))
        ids = torch.tensor([prompt.input_ids + answer])
        mask = torch.tensor([prompt.slot_mask + [False] * len(answer)])
        logits = model.llm(inputs_embeds=model.embed(ids, mask, torch.tensor(prompt.slot_items))).logits[0]
        start = len(prompt.input_ids) - 1
        sums[row, place] = sum(logits[start + i].log_softmax(0)[token].item() for i, token in enumerate(answer))
        lengths[row, place] = len(answer)
    chosen = {False: sums.argmax(axis=1), True: (sums / lengths).argmax(axis=1)}
    assert chosen[False].tolist() != chosen[True].tolist()
    settings = params.eval.model_copy(
        update={"batch_size": batch_size, "length_normalized": normalized, "method": "scoring"}
    )
    answers = ask(model, prompts, CANDIDATES, writer, encoder, settings)
    expected = CANDIDATES[np.arange(5), chosen[normalized]]
    assert answers.matched_items.tolist() == expected.tolist()
    assert answers.answers == [TITLES[item] for item in expected]
    np.testing.assert_allclose(answers.scores, sums / lengths if normalized else sums, rtol=1e-4)


def test_recommenders_see_the_whole_history_of_each_example() -> None:
    sets = make_sets(
        example_ids=[4, 6, 4],
        draws=[0, 0, 1],
        user_ids=[1, 2, 1],
        positions=[4, 2, 4],
        targets=[5, 1, 5],
        candidates=[[5, 2], [3, 1], [4, 5]],
    )
    sequences = make_sequences([[1, 2, 3, 4, 5], [3, 2, 1]], ["test", "test"])
    seen = []

    def score(shown: np.ndarray) -> torch.Tensor:
        seen.extend(shown.tolist())
        return torch.zeros(len(shown), 6)

    metrics = candidate_metrics(score, sequences, sets, 3)
    assert sorted(seen) == [[0, 3, 2], [2, 3, 4]]  # once for all draws of an example
    assert metrics["hit_ratio_at_1"] == 0  # all scores are equal: a tie counts as a miss
    assert (metrics["n_examples"], metrics["n_users"]) == (3, 2)
