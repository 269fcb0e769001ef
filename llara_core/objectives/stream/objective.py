"""Training on streams: chunks of histories, a head that starts at the recommender's user states, HitRatio@1 watched."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from llara_core.errors import DataError, ParamsError
from llara_core.hybrid.adapter import ITEM_VECTORS
from llara_core.hybrid.batching import IGNORED, to_device
from llara_core.hybrid.recommender_head import RecommenderHead, RecommenderMap
from llara_core.objectives.numbers import require_finite
from llara_core.objectives.objective import Objective, Sources, evaluating, lora_and_projector
from llara_core.objectives.step_plan import step_settings
from llara_core.objectives.stream.batching import pad_chunks, pad_histories
from llara_core.objectives.stream.chunks import (
    Chunk,
    Chunker,
    ChunkPlan,
    EncodedChunk,
    ShownChunk,
    encode_chunk,
    training_spans,
)
from llara_core.objectives.stream.model import StreamModel
from llara_core.objectives.stream.validation import expected_hits, validation_task
from llara_core.params.objectives import Stream, TitleVectors
from llara_core.prompting.histories import HistoryEncoder
from llara_core.prompting.segments import Mode
from llara_core.runtime.compute import autocast
from llara_core.runtime.logs import LOGGER
from llara_core.sequences.random_words import random_integers, random_shares, random_words

_MANY_ITEMS = 1_000_000  # at 64 dimensions some half of the work of four layers of SmolLM2-135M
_NEGATIVES, _RIDGE, _STATES = 0x4E656761, 0x52696467, 0x53746174  # "Nega", "Ridg", "Stat": streams of random words


class StreamObjective(Objective[EncodedChunk]):
    """A stream model over all items."""

    watched = "hit_ratio_at_1"

    def __init__(self, sources: Sources) -> None:
        """Plan the chunks, and fit the head to the untrained language model's states."""
        params, sequences = sources.params, sources.tables.sequences
        self.recipe: Stream = params.objectives.stream
        recipe = self.recipe
        self._item_ids, self._seed, self._precision = sequences.item_ids, params.seed, params.train.precision
        self._filler_id = sources.encoder.filler_id
        self._encoder = HistoryEncoder(sources.encoder, sources.writer.titles, sources.writer.fusion)
        self._n_items = len(sources.tables.items)
        self._require_room(params.split.history_length, sources.encoder.max_length)
        self._warn_of_many_items()
        spans = training_spans(sequences, params.split.min_history)
        chunker = Chunker(
            sequences.item_ids, spans, self._encoder.lengths, recipe.chunk_tokens, sources.recommender.max_length
        )
        self.plan = ChunkPlan(
            sequences.item_ids, chunker, self._encoder, step_settings(params, recipe), recipe.item_dropout
        )
        self._validation = validation_task(
            sequences,
            self._encoder.lengths,
            recipe.chunk_tokens,
            size=params.candidates.size,
            rule=params.candidates.negatives,
            min_history=params.split.min_history,
            history_length=params.split.history_length,
            n_positions=recipe.validation.positions,
        )
        hybrid = sources.hybrid()
        head = RecommenderHead(hybrid.width, sources.recommender.output_weights.detach().clone())
        self.model: StreamModel = StreamModel(hybrid, head.to(hybrid.device), sources.recommender, recipe.distillation)
        if recipe.title_vectors is not None:
            self._replace_rare_vectors(sources.tables.items.popularity, recipe.title_vectors)
        rivals = self.model.head.rivals
        self._rivals = None if rivals is None else rivals.cpu()  # for loader workers, which mustn't touch a GPU
        explained = self._fit_head(chunker, sources)
        LOGGER.info("the head starts with R² %.3f of the recommender's user states", explained)

    def _require_room(self, history_length: int, context: int) -> None:
        """Refuse chunks that hold fewer items than evaluation will show, or more tokens than the model can read."""
        room = context - self._encoder.most_before
        if self.recipe.chunk_tokens > room:
            raise ParamsError(
                f"objectives.stream.chunk_tokens must be ≤ {room}, what this language model can read beside the "
                f"beginning of a text, got {self.recipe.chunk_tokens}"
            )
        needed = math.ceil(history_length * self._encoder.lengths[self._item_ids].mean())
        if self.recipe.chunk_tokens < needed:
            raise ParamsError(
                f"objectives.stream.chunk_tokens must be ≥ {needed}, as many as split.history_length {history_length} "
                f"items take on average, got {self.recipe.chunk_tokens}"
            )

    def _warn_of_many_items(self) -> None:
        sampled = self.recipe.sampled
        if _MANY_ITEMS < self._n_items <= sampled.beyond:
            LOGGER.warning(
                "a catalogue of %d items, all compared at every step: with objectives.stream.sampled.beyond below it, "
                "a step would compare %d drawn ones instead, in much less time",
                self._n_items,
                sampled.negatives,
            )

    def collate(self, examples: Sequence[EncodedChunk]) -> dict[str, Tensor]:
        """Stack chunks, as `pad_chunks` does, with the state dropout of their step, and its negatives if it has any.

        Items that aren't compared with others are no targets either.
        """
        batch, rivals = self._stack(examples), self._rivals
        if rivals is not None:
            is_rival = torch.isin(batch["labels"], rivals)
            batch["labels"] = torch.where(is_rival, batch["labels"], IGNORED)
        if self.recipe.state_dropout:
            batch["noise"] = self._noise(examples)
        if self._n_items > self.recipe.sampled.beyond:
            words = random_words(self._seed, _NEGATIVES, examples[0].step, np.arange(self.recipe.sampled.negatives))
            drawn = torch.from_numpy(1 + random_integers(words, self._n_items if rivals is None else len(rivals) - 1))
            batch["negatives"] = drawn if rivals is None else rivals[drawn]
        return batch

    def _noise(self, examples: Sequence[EncodedChunk]) -> Tensor:
        """[B, T, H] factors 0 or 1 / (1 − state_dropout) of states: by step and place, however a step is divided."""
        places, share = [torch.tensor(example.places) for example in examples], self.recipe.state_dropout
        padded = pad_sequence(places, batch_first=True).numpy()[..., None]
        words = random_words(self._seed, _STATES, examples[0].step, padded, np.arange(self.model.hybrid.width))
        stays = random_shares(words) >= share
        return torch.from_numpy(stays.astype(np.float32) / np.float32(1 - share))

    def _stack(self, examples: Sequence[EncodedChunk]) -> dict[str, Tensor]:
        chunks = [example.history for example in examples]
        items, following = [example.items for example in examples], [example.following for example in examples]
        return pad_chunks(chunks, items, following, self._filler_id)

    def rates(self) -> list[tuple[list[nn.Parameter], float]]:
        """LoRA's weights, the projector's, and the head's."""
        head = [parameter for parameter in self.model.head.parameters() if parameter.requires_grad]
        return [*lora_and_projector(self.model.hybrid, self.recipe), (head, self.recipe.head_lr)]

    @property
    def head(self) -> Mapping[str, Tensor]:
        """The map into the recommender's space, and item vectors where they aren't the recommender's."""
        head = self.model.head
        return {**head.map.state_dict(), **({} if head.rivals is None else {ITEM_VECTORS: head.item_vectors})}

    @torch.no_grad()
    def validate(self) -> float:
        """HitRatio@1 expected over all lists that could be drawn for the validation positions.

        Raises:
            ModelError: a score isn't a finite number.
        """
        task = self._validation
        with evaluating(self.model):
            states = torch.cat([states for _, states in self._read(task.chunks, self.plan.last_mode)])
            scores = self.model.head.scores(self.model.head(states)).cpu()
        require_finite(scores[:, 1:])
        return float(expected_hits(scores.numpy(), task.targets, task.excluded, task.size).mean())

    @torch.no_grad()
    def _replace_rare_vectors(self, popularity: np.ndarray, how: TitleVectors) -> None:
        """Give items with few training interactions the vectors that their titles let expect.

        Raises:
            DataError: no item has enough interactions to learn from.
        """
        self.model.eval()
        parts = []
        for start in range(1, self._n_items + 1, self.recipe.batch_size):
            items = range(start, min(start + self.recipe.batch_size, self._n_items + 1))
            batch = pad_histories([self._encoder.encode([item], "text") for item in items], self._filler_id)
            parts.append(self._states(to_device(batch, self.model.hybrid.device))[:, 0])
        states, known = torch.cat(parts), torch.from_numpy(popularity[1:] >= how.below)
        if not known.any():
            raise DataError(f"objectives.stream.title_vectors.below must leave items to learn from, got {how.below}")
        head, known = self.model.head, known.to(states.device)
        titles = RecommenderMap(states.shape[1], head.item_vectors.shape[1]).to(states.device)
        explained = titles.fit(states[known], head.item_vectors[1:][known], how.penalty)
        head.replace(1 + (~known).nonzero()[:, 0], titles(states[~known]))
        LOGGER.info("%d items get their title's vector, R² %.3f on the others", int((~known).sum()), explained)

    @torch.no_grad()
    def _fit_head(self, chunker: Chunker, sources: Sources) -> float:
        """Fit the head on chunks spread over the training users, in turn in all modes of the plan; returns R²."""
        self.model.eval()
        chosen = np.linspace(0, len(chunker) - 1, min(len(chunker), self.recipe.ridge.positions)).round().astype(int)
        chosen = chosen[np.argsort(random_words(self._seed, _RIDGE, chosen), kind="stable")]
        chunks = chunker.cut(chosen, random_words(self._seed, _RIDGE, chosen, 1))
        counts = np.cumsum([chunk.end + 1 - chunk.first_asked for chunk in chunks])
        chunks = chunks[: int(np.searchsorted(counts, self.recipe.ridge.positions)) + 1]
        modes = self.plan.modes
        parts = [part for k, mode in enumerate(modes) for part in self._read(chunks[k :: len(modes)], mode)]
        goals = [sources.recommender(batch["history"])[batch["labels"] >= 0] for batch, _ in parts]
        states = torch.cat([states for _, states in parts])
        return self.model.head.map.fit(states, torch.cat(goals), self.recipe.ridge.penalty)

    def _read(self, chunks: Sequence[Chunk], mode: Mode) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Yield batches of chunks, in order, read in one mode, with the states [P, H] where an item is asked for."""
        for start in range(0, len(chunks), self.recipe.rows):
            part = chunks[start : start + self.recipe.rows]
            whole = [ShownChunk(chunk, chunk.places) for chunk in part]
            batch = self._stack([encode_chunk(self._item_ids, shown, self._encoder, mode, step=0) for shown in whole])
            batch = to_device(batch, self.model.hybrid.device)
            yield batch, self._states(batch)[batch["labels"] >= 0]

    def _states(self, batch: dict[str, Tensor]) -> Tensor:
        """[B, T, H] the language model's states at a batch's readouts, in float32."""
        names = ("input_ids", "slot_mask", "slot_items", "readouts")
        with autocast(self._precision):
            return self.model.read(*(batch[name] for name in names)).float()
