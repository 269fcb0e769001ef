"""What asking costs, as ratios measured side by side: python -m benchmarks.evaluation.

On the CPU, with a random Llama of SmolLM2-135M's shape under LoRA and made-up titles of four to five tokens; nothing is
downloaded or read but params.yaml. All ways take turns; of each ratio it prints the one of the best times and the one
of the medians:

1. `answer`'s scoring of 20 candidates / one bare pass over the same prompts: at most 1.7;
2. always 64 new tokens in batches of 8 padded on the right with LoRA beside the weights, the official way /
   `generation`: at least 2.5; and the most that this can be, the official way / a bare pass, for both must read the
   prompts;
3. `generation` / `constrained`;
4. scoring all stored lists of a user one by one / `stream`, which reads the history once: at least 10;
5. by how many MiB memory grows at most while `stream` scores 1 and 20 lists an example: the same.

A random model never ends an answer by itself, so `generation` goes to its limit. With few layers the vocabulary's head
weighs more than it should, and 1 comes out too high.
"""

import ctypes
import gc
import re
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import torch
import typer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from llara_core.hybrid.adapter import AdapterManifest, attach_lora, build_hybrid
from llara_core.hybrid.batching import pad_on_the_right
from llara_core.hybrid.merging import merge_lora
from llara_core.hybrid.model import HybridCausalLM
from llara_core.hybrid.questions import encode_questions
from llara_core.hybrid.recommender_head import RecommenderHead
from llara_core.objectives.answer.asking import ask
from llara_core.objectives.answer.respondent import AnswerRespondent
from llara_core.objectives.asking import Tuned
from llara_core.objectives.stream.respondent import StreamRespondent
from llara_core.params.loading import load_params
from llara_core.params.params import Params
from llara_core.params.sections import FolderLlm, Llm
from llara_core.prompting.encoding import EncodedPrompt, PromptEncoder
from llara_core.prompting.segments import PromptWriter
from llara_core.recommenders.model import build_recommender
from llara_core.runtime.compute import peak_memory_gib, seed_torch
from llara_core.sequences.candidate_sets import build_candidate_sets
from llara_core.tables.candidates import CandidateSets
from llara_core.tables.items import Items
from llara_core.tables.processed import Processed
from llara_core.tables.sequences import Sequences

_N_ITEMS, _N_LISTS, _VOCABULARY = 1682, 20, 49152
_NEW_TOKENS = 64
_RATIOS = (
    ("scoring", "bare pass", "at most 1.7"),
    ("official", "generation", "at least 2.5"),
    ("official", "bare pass", "the ceiling of the former"),
    ("generation", "constrained", "no bound"),
    ("lists one by one", "stream", "at least 10"),
)
Way = Callable[[], object]


def make_titles(generator: np.random.Generator) -> list[str]:
    """Draw distinct titles of one to four words, some of which begin many."""
    syllables = ["an", "be", "cor", "da", "el", "fi", "gra", "ho", "in", "ja", "ka", "lo", "mi", "nor", "os", "ta"]
    words = np.array(
        ["".join(generator.choice(syllables, size)).capitalize() for size in generator.integers(1, 4, 900)]
    )
    titles: dict[str, None] = {}
    while len(titles) < _N_ITEMS:
        rest = " ".join(generator.choice(words, generator.choice(4, p=[0.1, 0.3, 0.3, 0.3]) + 1))
        titles[f"The {rest}" if generator.random() < 0.2 else rest] = None
    return list(titles)


def make_tables(params: Params, titles: list[str], n_users: int, generator: np.random.Generator) -> Processed:
    """Give each of n_users test users, and one of validation, random items, and lists for the last."""
    length = params.split.history_length + 1
    rows = np.stack([1 + generator.permutation(_N_ITEMS)[:length] for _ in range(n_users + 1)])
    ends = np.zeros(len(rows), dtype=np.int32)
    sequences = Sequences(
        user_ids=np.arange(1, len(rows) + 1, dtype=np.int32),
        raw_user_ids=pa.array([str(user) for user in range(len(rows))]),
        train_end=ends,
        validation_end=np.where(np.arange(len(rows)) == n_users, length, ends).astype(np.int32),
        offsets=np.arange(len(rows) + 1) * length,
        item_ids=rows.reshape(-1).astype(np.int32),
        timestamps=np.arange(rows.size),
    )
    names = pa.array(titles)
    draws = params.candidates.draws.model_copy(update={"test": _N_LISTS})
    few = params.candidates.all_positions.model_copy(update={"draws": 0})
    how = params.candidates.model_copy(update={"draws": draws, "all_positions": few})
    sets = build_candidate_sets(sequences, _N_ITEMS, how, length - 1, params.split.min_history)
    return Processed(Items(names, names, np.zeros(_N_ITEMS, dtype=np.int32)), sequences, sets.of("test"))


def make_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Train byte-level pieces on the texts themselves, so that words are one or two tokens as in a real vocabulary."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=["<eos>", "<pad>"], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>", pad_token="<pad>")  # noqa: S106


def make_hybrid(params: Params, base: Llm, layers: int, vectors: np.ndarray) -> HybridCausalLM:
    """Build a random language model of SmolLM2-135M's widths with LoRA beside its weights."""
    config = LlamaConfig(
        vocab_size=_VOCABULARY,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    llm = LlamaForCausalLM(config).requires_grad_(requires_grad=False)
    llm.generation_config = GenerationConfig()
    adapted = attach_lora(llm, params.lora, base)
    return build_hybrid(adapted.get_base_model(), vectors, params.projector, params.fusion).eval()


def make_tuned(params: Params, layers: int, n_users: int) -> Tuned:
    """Put together what is asked, and the lists that it is asked about."""
    generator = np.random.default_rng(0)
    titles = make_titles(generator)
    tables = make_tables(params, titles, n_users, generator)
    recommender = build_recommender(params.selected_recommender, _N_ITEMS, params.split.history_length).eval()
    vectors = recommender.output_weights.detach()
    base = FolderLlm(source="folder", path=Path("random"), dtype="float32", attention="sdpa")
    nouns = params.selected_dataset.nouns
    manifest = AdapterManifest(
        llm=base,
        objective="stream",
        layers=None,
        prompt=params.prompt,
        nouns=nouns,
        history_length=params.split.history_length,
        chat=None,
        projector=params.projector,
        fusion=params.fusion,
        modes=["hybrid"],
        made_from={},
    )
    hybrid = make_hybrid(params, base, layers, vectors.numpy().copy())
    merge_lora(hybrid.llm, "random")  # as `load_tuned` does
    return Tuned(
        hybrid,
        Path("random"),
        manifest,
        RecommenderHead(hybrid.width, vectors).map.state_dict(),
        recommender,
        tables,
        PromptWriter.of(params.prompt, params.fusion, nouns, tables.items.titles_by_id),
        PromptEncoder(make_tokenizer([*titles, *params.prompt.templates]), max_length=8192),
        params.eval.model_copy(update={"method": "scoring", "template": 0, "length_normalized": False}),
        "hybrid",
    )


@torch.no_grad()
def bare_passes(model: HybridCausalLM, prompts: list[EncodedPrompt], filler_id: int, size: int) -> None:
    """Read prompts and keep nothing, in the batches in which they are scored."""
    ordered = sorted(prompts, key=lambda prompt: len(prompt.input_ids))
    for start in range(0, len(ordered), size):
        model.states(**pad_on_the_right(ordered[start : start + size], filler_id))


@torch.no_grad()
def write_officially(model: HybridCausalLM, prompts: list[EncodedPrompt], filler_id: int) -> None:
    """Write 64 tokens after each prompt, in batches of 8 as they come, padded on the right."""
    for start in range(0, len(prompts), 8):
        batch = pad_on_the_right(prompts[start : start + 8], filler_id)
        lengths = torch.tensor([[len(prompt.input_ids)] for prompt in prompts[start : start + 8]])
        written = model.llm.generate(
            inputs_embeds=model.embed(batch["input_ids"], batch["slot_mask"], batch["slot_items"]),
            attention_mask=(torch.arange(batch["input_ids"].shape[1]) < lengths).long(),
            max_new_tokens=_NEW_TOKENS,
            do_sample=False,
            pad_token_id=filler_id,
        )
        if written.shape[1] != _NEW_TOKENS:
            raise RuntimeError(f"{_NEW_TOKENS} tokens must be written, got {written.shape[1]}")


def ways_of(tuned: Tuned, beside: HybridCausalLM, first: CandidateSets, lists: CandidateSets) -> dict[str, Way]:
    """Return what is timed: the `first` list of each user, and all `lists` of some; LoRA stays `beside` officially."""
    shown, example = tuned.histories(first)
    writer, encoder = tuned.writer, tuned.encoder
    prompts = encode_questions(first, shown[example], writer, encoder, template=0, mode="hybrid")
    mean = statistics.mean(len(prompt.input_ids) for prompt in prompts)
    answers = [len(encoder.encode_answer(writer.answer(item))) for item in range(1, _N_ITEMS + 1)]
    print(
        f"{len(prompts)} prompts of {mean:.0f} tokens, titles of {statistics.mean(answers):.1f} with their end",
        end=", ",
    )
    print(f"{torch.get_num_threads()} threads")

    def asked(method: str) -> Way:
        how = tuned.params.model_copy(update={"method": method})
        return lambda: ask(tuned.hybrid, prompts, first.candidates, writer, encoder, how)

    return {
        "bare pass": lambda: bare_passes(tuned.hybrid, prompts, encoder.filler_id, tuned.params.batch_size),
        **{method: asked(method) for method in ("scoring", "generation", "constrained")},
        "official": lambda: write_officially(beside, prompts, encoder.filler_id),
        "lists one by one": lambda: AnswerRespondent(tuned).answer(lists),
        "stream": lambda: StreamRespondent(tuned).answer(lists),
    }


def race(ways: Mapping[str, Way], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, taken in turn after a round that doesn't count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def growth_mib(way: Way) -> float:
    """By how much this process's memory grows at most while `way` runs."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what earlier work has left to be used again would hide the growth
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if before is None:
        raise RuntimeError("/proc/self/status must tell VmRSS, got none")
    way()
    return peak_memory_gib() * 1024 - int(before[1]) / 1024


def main(
    layers: Annotated[int, typer.Option(help="Of the language model.")] = 30,
    prompts: Annotated[int, typer.Option(help="Prompts, each of another user; an eighth of the users has 20.")] = 16,
    rounds: Annotated[int, typer.Option(help="Turns that are timed.")] = 5,
) -> None:
    """Print seconds, ratios and memory."""
    seed_torch(0)
    params = load_params(Path("params.yaml"))
    tuned = make_tuned(params, layers, prompts)
    vectors = tuned.hybrid.item_embeddings.numpy()
    beside = make_hybrid(params, tuned.manifest.llm, layers, vectors)
    sets = tuned.tables.sets
    some = np.unique(sets.example_ids)[: max(1, prompts // 8)]
    asked = sets.select(sets.draws == 0), sets.select(np.isin(sets.example_ids, some))
    seconds = race(ways_of(tuned, beside, *asked), rounds)
    for name, found in seconds.items():
        print(f"{name:17} {min(found):7.2f} s at best, {statistics.median(found):7.2f} s in the median")
    for one, other, bound in _RATIOS:
        best, median = (kind(seconds[one]) / kind(seconds[other]) for kind in (min, statistics.median))
        print(f"{one} / {other}: {best:.2f} at best, {median:.2f} in the median ({bound})")
    respondent = StreamRespondent(tuned)
    parts = {n_lists: sets.select(sets.draws < n_lists) for n_lists in (1, _N_LISTS)}
    grown: dict[int, list[float]] = {n_lists: [] for n_lists in parts}
    for _ in range(rounds):
        for n_lists, part in parts.items():
            grown[n_lists].append(growth_mib(lambda asked=part: respondent.answer(asked)))  # type: ignore[misc]
    for n_lists, found in grown.items():
        print(f"stream, {n_lists:2} lists an example: memory grows by {statistics.median(found):.1f} MiB")


if __name__ == "__main__":
    typer.run(main)
