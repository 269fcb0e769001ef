"""Small data made by hand."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import LlamaTokenizer, PreTrainedTokenizerFast

from llara_core.params.curriculum import Curriculum
from llara_core.params.datasets import Filters
from llara_core.params.projector import Fusion, LinearProjector, MlpProjector, TransformerProjector
from llara_core.params.sections import FolderLlm
from llara_core.runtime.paths import METRICS, PROCESSED
from llara_core.tables.candidates import CandidateSets, Scope
from llara_core.tables.items import read_items
from llara_core.tables.processed import ITEMS
from llara_core.tables.sequences import Sequences

PROJECTOR = MlpProjector(kind="mlp", depth=2, hidden=6)
PROJECTORS = {
    "linear": LinearProjector(kind="linear"),
    "mlp": PROJECTOR,
    "deep": MlpProjector(kind="mlp", depth=4, hidden=6),
    "transformer": TransformerProjector(kind="transformer", blocks=2, heads=2, hidden=6),
}
APPEND, REPLACE, ADD, GATE = FUSIONS = [Fusion(kind=kind) for kind in ("append", "replace", "add", "gate")]
KEEP_ALL = Filters(
    min_rating=None,
    repeats="keep",
    min_user_interactions=1,
    user_share=1.0,
    item_share=1.0,
    core_users=1,
    core_items=1,
    unused_items="keep",
    ties="item_id",
)


def folder_llm(
    path: Path, dtype: str = "float32", attention: str = "sdpa", quantization: str | None = None
) -> FolderLlm:
    """Return an entry of llms in params.yaml."""
    return FolderLlm(source="folder", path=path, dtype=dtype, attention=attention, quantization=quantization)


def make_curriculum(schedule: str, drawn_per: str = "batch", epochs: int = 1, **own: float) -> Curriculum:
    """Return the section of params.yaml; `own` are the schedule's options."""
    fields = {"schedule": schedule, "drawn_per": drawn_per, "epochs": epochs, **own}
    return TypeAdapter(Curriculum).validate_python(fields)


def make_sequences(lists: list[list[int]], splits: list[str]) -> Sequences:
    """Users 1, 2, … with the given item ids, each wholly in one split; time goes on from user to user."""
    lengths = np.array([len(items) for items in lists])
    is_train, is_validation = (np.array([name == split for name in splits]) for split in ("train", "validation"))
    return Sequences(
        user_ids=np.arange(1, len(lists) + 1, dtype=np.int32),
        raw_user_ids=pa.array([str(user) for user in range(len(lists))]),
        train_end=(lengths * is_train).astype(np.int32),
        validation_end=(lengths * (is_train | is_validation)).astype(np.int32),
        offsets=np.concatenate(([0], np.cumsum(lengths))),
        item_ids=np.concatenate(lists).astype(np.int32),
        timestamps=np.arange(lengths.sum()),
    )


def make_sets(
    *,
    example_ids: list[int],
    draws: list[int],
    user_ids: list[int],
    positions: list[int],
    targets: list[int],
    candidates: list[list[int]],
    split: str = "test",
    scope: Scope = "last",
) -> CandidateSets:
    """Candidate sets of one split and scope."""
    names = [np.full(len(targets), name, dtype=object) for name in (split, scope)]
    numbers = (np.array(column, dtype=np.int32) for column in (positions, targets, candidates))
    first = (np.array(column, dtype=np.int32) for column in (example_ids, draws, user_ids))
    return CandidateSets(*first, *names, *numbers)


SENTENCEPIECE = ("prepend", "first", "always", "transformers")
"""How a SentencePiece tokenizer can come to its leading space: by a normalizer, as in Llama-2's older files; by a
pre-tokenizer, at the first text or at every one; and as transformers builds Llama-2's."""

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im|>{{ message['role'] }}\n{{ message['content'] }}<eos>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im|>assistant\n{% endif %}"
)


def make_chat_tokenizer(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Return an instruct model's copy of a tokenizer that has <eos> and <pad>; its vocabulary is one token larger."""
    core = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    core.add_special_tokens(["<|im|>"])
    names = {"eos_token": "<eos>", "pad_token": "<pad>", "extra_special_tokens": ["<|im|>"]}
    return PreTrainedTokenizerFast(tokenizer_object=core, chat_template=CHAT_TEMPLATE, **names)


_MERGES = [("H", "e"), ("a", "t"), ("He", "at"), ("▁", "Heat"), ("▁", ","), ("▁", "."), ("▁", "▁")]


def make_sentencepiece(style: str) -> PreTrainedTokenizerFast:
    """Llama-2's tokenizer in small: characters, bytes for all others, the merges above, and a space before texts."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁Heatnd,.:/<>s3"]
    vocabulary = {piece: place for place, piece in enumerate([*pieces, *(left + right for left, right in _MERGES)])}
    if style == "transformers":
        return LlamaTokenizer(vocab=vocabulary, merges=_MERGES, add_bos_token=True)
    core = Tokenizer(models.BPE(vocabulary, _MERGES, unk_token="<unk>", fuse_unk=True, byte_fallback=True))  # noqa: S106
    if style == "prepend":
        core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=style, split=False)
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, **special)


def name_source(root: Path, source: str) -> None:
    """Say in metrics/preprocess.json below `root` that the tables there are made of `source`."""
    digest = read_items(root / PROCESSED / ITEMS).digest
    (root / METRICS / "preprocess.json").write_text(json.dumps({"source": source, "items_sha256": digest}))
