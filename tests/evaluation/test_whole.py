"""Evaluation as a whole on tiny artifacts: what belongs together is accepted, and asked what it should be."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from peft.tuners.lora import LoraLayer
from scipy import stats

from llara_core.errors import ArtifactError
from llara_core.evaluation import artifacts, judging
from llara_core.evaluation.artifacts import Artifacts, load_tuned, load_untuned, read_artifacts
from llara_core.evaluation.hard_lists import draw_hard_lists
from llara_core.evaluation.judging import judge
from llara_core.evaluation.probes import answer_shuffled, probed
from llara_core.evaluation.report import headline
from llara_core.finetuning.tuning import tune
from llara_core.hybrid.adapter import save_adapter
from llara_core.objectives.answer import respondent
from llara_core.objectives.asking import Advance, best_of, build_respondent
from llara_core.params.objectives import ObjectiveChoice
from llara_core.params.params import Params
from llara_core.recommenders.model import build_recommender
from llara_core.recommenders.ranking import neural_scorer
from llara_core.recommenders.saving import RecommenderConfig, load_recommender, save_recommender
from llara_core.runtime.seal import seal
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.tables.asked_lists import write_hard_lists
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.embeddings import ItemEmbeddings, read_embeddings, write_embeddings
from llara_core.tables.items import Items
from llara_core.tables.predictions import Predictions
from llara_core.tables.processed import Processed, read_processed, write_processed
from tests.conftest import TITLES, make_llama
from tests.evaluation.stored import make_asked
from tests.factories import folder_llm, make_sequences
from tests.recommenders.recipes import tiny

N_ITEMS = len(TITLES) - 1
COUNTED = ("recommender", "co_occurrence", "popularity")


def _recommender(folder: Path, tables: Processed, seed: int) -> None:
    torch.manual_seed(seed)
    model = build_recommender(tiny("sasrec"), N_ITEMS, history_length=3)
    config = RecommenderConfig(recommender=tiny("sasrec"), n_items=N_ITEMS, history_length=3, made_from=tables.lineage)
    folder.mkdir(exist_ok=True)
    save_recommender(folder, model, config)


def _embeddings(folder: Path) -> None:
    model, lineage = load_recommender(folder / "recommender", read_processed(folder).lineage)
    write_embeddings(folder / "e.parquet", ItemEmbeddings(model.items.weight.detach().numpy(), lineage))


@pytest.fixture
def small(params: Params, tokenizer, tmp_path: Path) -> Params:
    llm = tmp_path / "llm"
    make_llama(len(tokenizer)).save_pretrained(llm)
    tokenizer.save_pretrained(llm)
    recipe = {"examples_per_epoch": 2, "batch_size": 2, "micro_batch_size": 2}
    answer = params.objectives.answer.model_copy(update=recipe)
    changes = {
        "split": params.split.model_copy(update={"min_history": 1, "history_length": 3}),
        "candidates": params.candidates.model_copy(
            update={"size": 3, "draws": params.candidates.draws.model_copy(update={"validation": 1, "test": 2})}
        ),
        "projector": params.projector.model_copy(update={"hidden": 6}),
        "train": params.train.model_copy(update={"objective": ObjectiveChoice(name="answer")}),
        "objectives": params.objectives.model_copy(update={"answer": answer}),
        "llm": params.llm.model_copy(update={"name": "tiny"}),
        "llms": {"tiny": folder_llm(llm)},
    }
    return params.model_copy(update=changes)


@pytest.fixture
def folder(small: Params, tmp_path: Path) -> Path:
    """Return a folder with all that finetuning reads and leaves."""
    sequences = make_sequences(
        [[1, 2, 3, 4], [5, 6, 7], [2, 8, 1], [3, 5, 7, 2, 6]], ["train", "train", "validation", "test"]
    )
    names = pa.array(TITLES[1:])
    counts = np.bincount([1, 2, 3, 4, 5, 6, 7], minlength=N_ITEMS + 1)[1:].astype(np.int32)
    sets = build_candidate_sets(sequences, N_ITEMS, small.candidates, 3, 1)
    write_processed(tmp_path, Processed(Items(names, names, counts), sequences, sets))
    tables = read_processed(tmp_path)
    _recommender(tmp_path / "recommender", tables, seed=0)
    _embeddings(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    recommender, lineage = load_recommender(tmp_path / "recommender", tables.lineage)
    embeddings = read_embeddings(tmp_path / "e.parquet", lineage, N_ITEMS)
    tuned = tune(small, tables, recommender, embeddings, tmp_path / "checkpoints")
    (tmp_path / "adapter").mkdir()
    save_adapter(tmp_path / "adapter", tuned.adapted, tuned.model.projector, tuned.manifest)
    return tmp_path


def _asked(params: Params, **changes: object) -> Params:
    return params.model_copy(update={"eval": params.eval.model_copy(update=changes)})


def _read(folder: Path) -> Artifacts:
    return read_artifacts(
        folder, folder / "recommender", folder / "e.parquet", folder / "adapter", folder / "candidates.parquet"
    )


@pytest.mark.parametrize("mode", ["as_trained", "hybrid", "text"])
def test_the_stored_lists_are_asked_after_the_latest_items(
    small: Params, folder: Path, tokenizer, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    asked = []
    real = respondent.ask

    def watch(model, prompts, candidates, *rest):
        asked.append(list(zip(prompts, candidates.tolist(), strict=True)))
        return real(model, prompts, candidates, *rest)

    monkeypatch.setattr(respondent, "ask", watch)
    made = _read(folder)
    judged = judge(_asked(small, mode=mode, draws=2, template=1, probes=[]), made, folder / "pieces")
    assert judged.answered.asked.sets.targets.tolist() == [6, 6]
    test, validation = asked  # to choose the weight of the recommender beside it
    for found, split, history in ((test, "test", [5, 7, 2]), (validation, "validation", [2, 8])):
        assert [row for _, row in found] == made.tables.sets.of(split).candidates.tolist()
        for prompt, row in found:
            assert tokenizer.decode(prompt.input_ids).startswith("Here are the movies that a user watched")
            assert prompt.slot_items == ([] if mode == "text" else [*history, *row])
    assert set(judged.answered.predictions) == {"llara", "llara_with_recommender", "random", *COUNTED}
    assert set(made.lineage) == {"items", "sequences", "recommender", "embeddings", "candidates", "adapter"}


@pytest.mark.parametrize(("sign", "hits"), [(-1, 1.0), (1, 0.0)])
def test_the_recommender_s_weight_is_chosen_on_validation(
    small: Params, folder: Path, monkeypatch: pytest.MonkeyPatch, sign: int, hits: float
) -> None:
    """The recommender likes targets least. On validation the language model says the opposite: .55, …, 1 are right.

    With their middle, .8, the language model is followed on test, whether it says the opposite there or the same.
    """
    liking = np.tile(np.arange(1.0, N_ITEMS + 2), (N_ITEMS + 1, 1))
    liking[8, 1] = liking[2, 6] = 0  # by the latest item: what comes next on validation and on test

    def say(_: object, sets: CandidateSets, advance: Advance) -> Predictions:
        [split] = set(sets.splits)
        asked.append((split, len(sets)))
        scores = sign * liking[2][sets.candidates] if split == "test" else -liking[8][sets.candidates]
        return best_of(sets.candidates, scores, [""] * (N_ITEMS + 1))

    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(respondent.AnswerRespondent, "answer", say)
    lengths: list[int] = []

    def like(shown: np.ndarray) -> torch.Tensor:
        lengths.append(shown.shape[1])
        return torch.from_numpy(liking[shown[:, -1]])

    monkeypatch.setattr(judging, "neural_scorer", lambda _: like)
    judged = judge(_asked(small, draws=2, probes=[]), _read(folder), folder / "pieces")
    assert set(lengths) == {3}  # on validation as on test
    metrics = headline(judged.answered, judged.weight)
    assert asked == [("test", 2), ("validation", 1)]
    together = metrics["llara_with_recommender"]
    assert together["weight"] == pytest.approx(0.8)
    assert together["hit_ratio_at_1"] == hits
    assert metrics["recommender"]["hit_ratio_at_1"] == 0


def test_generation_gives_no_scores_to_be_added_to_the_recommender_s(small: Params, folder: Path) -> None:
    judged = judge(_asked(small, method="generation", probes=[]), _read(folder), folder / "pieces")
    assert judged.answered.predictions["llara"].scores is None
    assert judged.weight is None
    assert set(judged.answered.predictions) == {"llara", "random", *COUNTED}
    assert {len(predictions.answers) for predictions in judged.answered.predictions.values()} == {1}  # of two draws


def _write_hard(folder: Path, pool: int = 2) -> CandidateSets:
    """Exchange the negatives, as stage candidates does."""
    tables = read_processed(folder)
    model, lineage = load_recommender(folder / "recommender", tables.lineage)
    sets = draw_hard_lists(neural_scorer(model.double()), tables, seed=0, pool=pool, history_length=3).sets
    write_hard_lists(folder / "hard.parquet", sets, tables, lineage["recommender"])
    return sets


def _read_hard(folder: Path) -> Artifacts:
    return read_artifacts(
        folder, folder / "recommender", folder / "e.parquet", folder / "adapter", folder / "hard.parquet"
    )


def test_everything_is_asked_about_the_lists_of_stage_candidates(
    small: Params, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hard = _write_hard(folder)
    made = _read_hard(folder)
    assert made.chosen_by == made.lineage["recommender"]
    assert _read(folder).chosen_by is None
    assert made.lineage == {**_read(folder).lineage, "candidates": hard.digest}
    assert hard.digest != read_processed(folder).sets.digest
    asked, real = [], respondent.AnswerRespondent.answer

    def watch(self: object, sets: CandidateSets, advance: Advance) -> Predictions:
        asked.append(sets)
        return real(self, sets, advance)

    monkeypatch.setattr(respondent.AnswerRespondent, "answer", watch)
    how = _asked(small, positions="all", draws=2, untuned=True, probes=["text"])
    judged = judge(how, made, folder / "pieces")
    assert judged.answered.asked.chosen_by == made.chosen_by
    found = {
        split: {tuple(row) for sets in asked for row in sets.select(sets.splits == split).candidates.tolist()}
        for split in ("validation", "test")
    }
    for split, rows in found.items():  # of validation, by which the weight is chosen, too
        assert rows == {tuple(row) for row in hard.of(split, "all", n_draws=2).candidates.tolist()}
    assert judged.answered.asked.sets.digest == hard.of("test", "all", n_draws=2).digest
    assert set(judged.answered.predictions) > {"llara", "llara_text", "untuned", "llara_with_recommender"}
    assert judging.evaluation_fingerprint(how, made) != judging.evaluation_fingerprint(how, _read(folder))


def test_the_recommender_s_hits_on_the_smallest_pool_are_those_in_the_catalogue(small: Params, folder: Path) -> None:
    """Of one position: asked about two of its two favourites, it is right if the target is its first of all."""
    _write_hard(folder)
    judged = judge(_asked(small, draws=2, probes=[]), _read_hard(folder), folder / "pieces")
    rows, sets = judged.answered.predictions["recommender"], judged.answered.asked.sets
    assert sets.candidates.shape[1] == 3
    assert (rows.target_ranks(sets) == 1).tolist() == (rows.catalogue_ranks == 1).tolist()
    favourites = [item for item in rows.top[0].tolist() if item not in (0, 6)][:2]  # 6 is the target
    assert {*sets.candidates[0].tolist()} == {*sets.candidates[1].tolist()} == {6, *favourites}


def test_hard_lists_of_another_recommender_are_refused(folder: Path) -> None:
    _write_hard(folder)
    tables = read_processed(folder)
    write_hard_lists(folder / "hard.parquet", _read_hard(folder).tables.sets, tables, "another")
    with pytest.raises(ArtifactError, match="hard.parquet: was made from other recommender than those at hand"):
        _read_hard(folder)


def _load_nothing(*_: object) -> None:
    raise AssertionError("a model was loaded")


def test_what_does_not_answer_in_words_cannot_be_asked_to(
    small: Params, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "load_base_llm", _load_nothing)
    made = _read(folder)
    other = replace(made, manifest=made.manifest.model_copy(update={"objective": "stream"}))
    expected = "eval.method must be scoring for .*adapter, which was trained by stream, got generation"
    with pytest.raises(ArtifactError, match=expected):
        judge(_asked(small, method="generation"), other, folder / "pieces")


def test_untrained_tokens_are_refused_before_a_model_is_loaded(
    small: Params, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "load_base_llm", _load_nothing)
    made = _read(folder)
    other = replace(made, manifest=made.manifest.model_copy(update={"modes": ["text"]}))
    with pytest.raises(ArtifactError, match="eval.mode must be as_trained or text"):
        judge(_asked(small, mode="hybrid"), other, folder / "pieces")


def test_an_adapter_is_refused_beside_another_recommender(folder: Path) -> None:
    _recommender(folder / "recommender", read_processed(folder), seed=1)
    with pytest.raises(ArtifactError, match="e.parquet: was made from other recommender than those at hand"):
        _read(folder)
    _embeddings(folder)
    with pytest.raises(ArtifactError, match="llara.json: was made from other recommender and embeddings than those"):
        _read(folder)


def test_an_adapter_is_refused_when_its_base_model_has_changed(folder: Path) -> None:
    path = folder / "llm" / "generation_config.json"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(ArtifactError, match="made from other llm than those at hand: .* `dvc repro --force finetune`"):
        _read(folder)


def _judged(params: Params, folder: Path, **changes: object) -> judging.Judged:
    found = judge(_asked(params, probes=[], **changes), _read(folder), folder / "pieces")
    shutil.rmtree(folder / "pieces")
    assert found is not None
    return found


def test_all_positions_are_asked_about(small: Params, folder: Path) -> None:
    found = _judged(small, folder, positions="all", draws=2)
    sets = read_processed(folder).sets.of("test", "all", n_draws=2)
    assert sets.positions.tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert found.answered.asked.sets.digest == sets.digest
    assert {len(predictions.answers) for predictions in found.answered.predictions.values()} == {8}
    # As a whole, and not in pieces of an example each.
    again = build_respondent(load_tuned(_asked(small, draws=2).eval, _read(folder))).answer(sets)
    np.testing.assert_allclose(again.scores, found.answered.predictions["llara"].scores, rtol=1e-4, atol=1e-5)


def test_so_many_positions_are_drawn_as_the_limit_says(small: Params, folder: Path) -> None:
    """The same for models of all seeds, for otherwise nothing could be compared."""
    for seed in range(3):
        params, asked = small.model_copy(update={"seed": seed}), {}
        for limit in (1, 2, 3, 4, 9):
            sets = _judged(params, folder, positions="all", draws=1, limit=limit).answered.asked.sets
            asked[limit] = sets.positions.tolist()
        assert [len(positions) for positions in asked.values()] == [1, 2, 3, 4, 4]
        assert asked[2] == [2, 3]  # neither the first nor the last ones
        assert set(asked[1]) < set(asked[2]) < set(asked[3])


def test_the_limit_holds_for_validation_too(small: Params, folder: Path) -> None:
    made = _read(folder)
    how = _asked(small, positions="all", limit=1)
    assert len(judging._stored(how, made, "validation")) == small.candidates.all_positions.draws
    assert len(judging._stored(how, made, "test")) == small.candidates.all_positions.draws


def test_what_answers_rest_on_has_a_fingerprint(small: Params, folder: Path) -> None:
    made = _read(folder)
    prints = [judging.evaluation_fingerprint(small, made)]
    changes = {"positions": "all", "limit": 2, "probes": [], "untuned": True, "method": "generation", "mode": "text"}
    changes |= {"draws": 2, "template": 1, "batch_size": 3, "length_normalized": True, "exclude_seen": False}
    assert set(changes) == set(small.eval.model_dump())
    prints += [judging.evaluation_fingerprint(_asked(small, **{name: value}), made) for name, value in changes.items()]
    prints.append(judging.evaluation_fingerprint(small.model_copy(update={"seed": 1}), made))
    path = folder / "adapter" / "README.txt"
    path.write_text("another adapter")
    seal(folder / "adapter")
    prints.append(judging.evaluation_fingerprint(small, _read(folder)))
    assert len(set(prints)) == len(prints)


def test_each_probe_s_row_is_what_that_probe_answers(small: Params, folder: Path) -> None:
    probes = [
        "text",
        "id",
        "vectors_shuffled",
        "vectors_zeroed",
        "history_shuffled",
        "history_removed",
        "candidates_shuffled",
    ]
    how = _asked(small, probes=probes, draws=2)
    found = judge(how, _read(folder), folder / "pieces")
    assert found is not None
    rows, sets = found.answered.predictions, found.answered.asked.sets
    tuned = load_tuned(how.eval, _read(folder))
    for probe in probes[:-1]:
        expected = build_respondent(probed(probe, tuned, small.seed)).answer(sets)
        assert rows[f"llara_{probe}"].scores.tolist() == expected.scores.tolist()
        assert rows[f"llara_{probe}"].scores.tolist() != rows["llara"].scores.tolist()
    shuffled = answer_shuffled(build_respondent(tuned), small.seed, sets)
    assert rows["llara_candidates_shuffled"].scores.tolist() == shuffled.scores.tolist()
    assert not np.allclose(shuffled.scores, rows["llara"].scores, rtol=1e-3)


@pytest.mark.parametrize(("dtype", "n_layers"), [("float32", 0), ("bfloat16", 2 * 7)])
def test_what_float32_holds_exactly_enough_is_asked_merged(
    small: Params, folder: Path, dtype: str, n_layers: int
) -> None:
    """In bfloat16 a sum would forget what the adapter has learnt."""
    made = _read(folder)
    llm = made.manifest.llm.model_copy(update={"dtype": dtype})
    tuned = load_tuned(_asked(small).eval, replace(made, manifest=made.manifest.model_copy(update={"llm": llm})))
    assert sum(isinstance(part, LoraLayer) for part in tuned.hybrid.modules()) == n_layers


def test_the_untuned_model_has_all_its_layers(small: Params, folder: Path) -> None:
    tuned = load_tuned(_asked(small).eval, _read(folder))
    shallow = replace(tuned, manifest=tuned.manifest.model_copy(update={"layers": 1}))  # as of a stream
    assert len(load_untuned(shallow)._tuned.hybrid.llm.model.layers) == 2


def test_the_untuned_model_is_scored_however_the_tuned_one_is_asked(small: Params, folder: Path) -> None:
    rows = _judged(small, folder, untuned=True, method="generation").answered.predictions
    assert rows["llara"].scores is None
    assert rows["untuned"].scores is not None


def test_lists_that_are_not_stored_cannot_be_asked_about(
    small: Params, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "load_base_llm", _load_nothing)
    made = _read(folder)
    other = replace(made, tables=replace(made.tables, sets=made.tables.sets.of("test")))
    with pytest.raises(
        ArtifactError, match="eval.positions must be last where no lists of other positions of validation"
    ):
        judge(_asked(small, positions="all"), other, folder / "pieces")


def test_full_rankings_leave_out_what_the_user_has_had(small: Params, folder: Path) -> None:
    with_seen, without = (
        _judged(small, folder, exclude_seen=excluded).answered.predictions["recommender"].top
        for excluded in (False, True)
    )
    assert with_seen is not None
    assert without is not None
    assert sorted(with_seen[0].tolist()) == list(range(1, N_ITEMS + 1))
    assert sorted(item for item in without[0].tolist() if item) == [1, 4, 6, 8]  # the user had 3, 5, 7 and 2


def test_guesses_know_neither_the_place_nor_the_item() -> None:
    asked = make_asked(list(range(1, 601))).sets
    places = judging._guess(asked, 0).argmax(axis=1)
    assert stats.chisquare(np.bincount(places, minlength=3)).pvalue > 0.001
    assert judging._guess(asked, 1).argmax(axis=1).tolist() != places.tolist()


def test_the_language_model_is_asked_before_its_tuning(
    small: Params, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _judged(small, folder, untuned=True, mode="text").answered
    assert len(found.asked) == 1  # of two draws
    prompts, real = [], respondent.encode_questions
    monkeypatch.setattr(respondent, "encode_questions", lambda *a, **k: prompts.append(real(*a, **k)) or prompts[-1])
    tuned = load_tuned(_asked(small).eval, _read(folder))
    again = load_untuned(tuned).answer(found.asked.sets)
    assert found.predictions["untuned"].scores.tolist() == again.scores.tolist()
    assert prompts[-1][0].slot_items == []
    plain = make_llama(len(tuned.encoder._tokenizer))  # the fixture's base model, without an adapter
    assert all(
        torch.equal(one, other)
        for one, other in zip(load_untuned(tuned)._tuned.hybrid.llm.parameters(), plain.parameters(), strict=True)
    )


def test_processes_wait_before_they_work_and_before_the_main_one_collects(
    small: Params, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    for name in ("work", "collect"):
        real = getattr(judging.Pieces, name)

        def watched(self, *arguments, _name=name, _real=real):
            seen.append(_name)
            return _real(self, *arguments)

        monkeypatch.setattr(judging.Pieces, name, watched)
    monkeypatch.setattr(judging, "wait_for_all", lambda: seen.append("wait"))
    _judged(small, folder)
    jobs = ["llara", "validation"]
    assert seen == ["wait", *["work"] * len(jobs), "wait", *["collect"] * len(jobs)]


def test_a_killed_evaluation_goes_on_to_the_same_answers(
    small: Params, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _judged(small, folder, draws=2).answered.predictions["llara"]
    real, asked = respondent.AnswerRespondent.answer, []

    def die_on_validation(self: object, sets: CandidateSets, advance: Advance) -> Predictions:
        asked.append(set(sets.splits))
        if "validation" in asked[-1] and len(asked) == 2:
            raise KeyboardInterrupt
        return real(self, sets, advance)

    monkeypatch.setattr(respondent.AnswerRespondent, "answer", die_on_validation)
    with pytest.raises(KeyboardInterrupt):
        _judged(small, folder, draws=2)
    again = _judged(small, folder, draws=2)
    assert asked == [{"test"}, {"validation"}, {"validation"}]
    assert again.answered.predictions["llara"].scores.tolist() == whole.scores.tolist()
    assert set(again.seconds) == {"validation"}  # what was there took no time
