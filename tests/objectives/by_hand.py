"""Prompts, a Llama with LoRA, and the three losses written out: example by example, token by token, without padding.

Only weights, titles and the tokenizer are the project's: what is read is put together here, and all is in float64.
A model of another family is transformers' own, given whole texts one by one, and its norms stay in float32.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from llara_core.hybrid.model import HybridCausalLM
from llara_core.objectives.choice.model import ChoiceModel
from llara_core.objectives.stream.model import StreamModel
from llara_core.params.projector import FusionKind
from llara_core.prompting.question import Question
from llara_core.prompting.segments import Mode
from tests.conftest import TITLES, read_words
from tests.hybrid.by_hand import behavioural_tokens

THETA = 10_000.0  # of the rotary positions


@dataclass
class Layout:
    """What is read, token by token.

    Attributes:
        tokens: [S] ids, None where a behavioural token stands alone.
        items: [S] the item whose behavioural token joins or is the token, None where there is none.
        marks: where an item has just been read.
    """

    tokens: list[int | None]
    items: list[int | None]
    marks: list[int]


@dataclass(frozen=True)
class Reading:
    """How items are shown, with a tokenizer; `marked` asks for a token behind each item."""

    tokenizer: PreTrainedTokenizerFast
    fusion: FusionKind
    marked: bool

    def lay_out(self, parts: Sequence[str | int], mode: Mode) -> Layout:
        """Lay out words and item ids in turn."""
        laid, words = Layout([], [], []), ""
        for part in parts:
            if isinstance(part, str):
                words += part
                continue
            if mode == "text" and not self.marked:
                words += TITLES[part]
                continue
            in_place = mode == "hybrid" and self.fusion != "append"
            self._say(laid, words, "" if mode == "id" else TITLES[part], part if in_place else None)
            words = ""
            if mode != "text" and not in_place:
                self._put(laid, None, part)
            elif self.marked:
                self._put(laid, self.tokenizer("\n").input_ids[-1], None)
        self._say(laid, words, "", None)
        return laid

    def _say(self, laid: Layout, words: str, title: str, item: int | None) -> None:
        said = self.tokenizer(words + title, add_special_tokens=False, return_offsets_mapping=True)
        for token, (_, end) in zip(said.input_ids, said.offset_mapping, strict=True):
            laid.tokens.append(token)
            laid.items.append(item if end > len(words) else None)

    def _put(self, laid: Layout, token: int | None, item: int | None) -> None:
        laid.marks.append(len(laid.tokens))
        laid.tokens.append(token)
        laid.items.append(item)

    def ask(self, template: str, question: Question, mode: Mode) -> tuple[Layout, list[int]]:
        """Lay out a prompt; returns it, and the marks of its candidates."""
        parts: list[str | int] = []
        places: dict[str, range] = {}
        shown = {"history": question.history, "candidates": question.candidates}
        for index, piece in enumerate(re.split(r"\{(\w+)\}", template)):
            if index % 2 == 0:
                parts.append(piece)
                continue
            before = sum(isinstance(part, int) for part in parts)
            places[piece] = range(before, before + len(shown[piece]))
            for place, item in enumerate(shown[piece]):
                parts += [", ", item] if place else [item]
        laid = self.lay_out(parts, mode)
        return laid, [laid.marks[k] for k in places["candidates"]] if self.marked else []


def embeddings(hybrid: HybridCausalLM, laid: Layout) -> Tensor:
    """[S, H] of what is laid out: w, b, or w + b, with b's gate in it."""
    table, vectors = read_words(hybrid.llm), hybrid.item_embeddings
    shown = [vectors[item] for item in laid.items if item is not None]
    joined, rows = iter(behavioural_tokens(hybrid.projector, shown)), []
    for token, item in zip(laid.tokens, laid.items, strict=True):
        if item is None:
            rows.append(table[token])
        elif token is None or hybrid.fusion == "replace":
            rows.append(next(joined))
        else:
            rows.append(table[token] + next(joined))
    return torch.stack(rows)


def states(hybrid: HybridCausalLM, read: Tensor) -> Tensor:
    """[S, H] of a language model that reads [S, H]."""
    llama = hybrid.llm.model
    if hybrid.llm.config.model_type != "llama":
        return llama(inputs_embeds=read[None]).last_hidden_state[0]
    for layer in llama.layers:
        read = read + _attention(layer.self_attn, _norm(layer.input_layernorm, read), hybrid.llm.config)
        inside, mlp = _norm(layer.post_attention_layernorm, read), layer.mlp
        gate = _linear(mlp.gate_proj, inside)
        read = read + _linear(mlp.down_proj, gate / (1 + torch.exp(-gate)) * _linear(mlp.up_proj, inside))
    return _norm(llama.norm, read)


def _norm(norm: nn.Module, x: Tensor) -> Tensor:
    return norm.weight * x / (x.square().mean(dim=1, keepdim=True) + 1e-6).sqrt()


def _linear(layer: nn.Module, x: Tensor) -> Tensor:
    """LoRA of rank 2 with alpha 4."""
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    return x @ layer.base_layer.weight.T + 4 / 2 * (x @ down.T) @ up.T


def _attention(layer: nn.Module, x: Tensor, config: object) -> Tensor:
    n_heads, n_shared = config.num_attention_heads, config.num_key_value_heads
    width, length = config.hidden_size // n_heads, len(x)
    queries, keys, values = (_linear(part, x) for part in (layer.q_proj, layer.k_proj, layer.v_proj))
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    heard = []
    for head in range(n_heads):
        shared = head * n_shared // n_heads
        query = _turn(queries[:, head * width : (head + 1) * width])
        key = _turn(keys[:, shared * width : (shared + 1) * width])
        scores = (query @ key.T / math.sqrt(width)).masked_fill(later, -math.inf)
        heard.append(scores.softmax(dim=1) @ values[:, shared * width : (shared + 1) * width])
    return _linear(layer.o_proj, torch.cat(heard, dim=1))


def _turn(x: Tensor) -> Tensor:
    """Rotary positions (arXiv 2104.09864): of feature i with feature i + W/2, by place · θ^(−2i/W)."""
    half = x.shape[1] // 2
    speeds = torch.tensor([THETA ** (-i / half) for i in range(half)], dtype=x.dtype)
    angles = torch.arange(len(x), dtype=x.dtype)[:, None] * speeds
    first, second = x[:, :half], x[:, half:]
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=1)


def answer_loss(hybrid: HybridCausalLM, laid: Layout, answer: Sequence[int]) -> Tensor:
    """Sum over an answer's tokens of −log p, in nats."""
    whole = Layout([*laid.tokens, *answer], [*laid.items, *(None for _ in answer)], [])
    found = states(hybrid, embeddings(hybrid, whole)) @ hybrid.llm.lm_head.weight.T
    if cap := getattr(hybrid.llm.config, "final_logit_softcapping", None):  # of Gemma 2
        found = cap * torch.tanh(found / cap)
    before = len(laid.tokens) - 1  # where the answer's first token is predicted
    return -torch.stack([found[before + k].log_softmax(0)[token] for k, token in enumerate(answer)]).sum()


def choice_loss(model: ChoiceModel, laid: Layout, places: Sequence[int], question: Question) -> Tensor:
    """(1 − α) CE(target) + α CE(the recommender's probabilities) of a prompt's candidates."""
    read = states(model.hybrid, embeddings(model.hybrid, laid))
    user, item = model.maps.user, model.maps.item
    wanted = user.weight @ read[-1] + user.bias
    scores = torch.stack([wanted @ (item.weight @ read[place] + item.bias) for place in places])
    believed, target = scores.log_softmax(0), question.candidates.index(question.target)
    [teacher], share = model._teacher, model.distillation
    with torch.no_grad():
        taught = teacher(torch.tensor([question.history]))[0, -1]
        vectors = teacher.output_weights
        shares = torch.stack([taught @ vectors[candidate] for candidate in question.candidates]).softmax(0)
    return -(1 - share) * believed[target] - share * (shares * believed).sum()


def stream_loss(
    model: StreamModel,
    laid: Layout,
    items: Sequence[int],
    following: Sequence[int | None],
    rivals: Sequence[int],
    noise: Tensor | None = None,
    negatives: Sequence[int] | None = None,
) -> Tensor:
    """Sum over the items that are followed by one that is asked for, of what `choice_loss` is: here over the rivals.

    With `negatives` each of these stands for as many as there are items to draw from, over the number of draws.
    """
    read, head, share = states(model.hybrid, embeddings(model.hybrid, laid)), model.head, model.distillation
    drawn = rivals if negatives is None else negatives
    [teacher], total = model._teacher, torch.zeros((), dtype=torch.float64)
    for t, target in enumerate(following):
        if target is None:
            continue
        state = read[laid.marks[t]]
        if noise is not None:
            state = head.map.centre + noise[t] * (state - head.map.centre)
        user = head.map.weight @ state + head.map.bias
        with torch.no_grad():
            taught = teacher(torch.tensor([list(items[: t + 1])]))[0, t]
            shares = torch.stack([taught @ head.item_vectors[item] for item in drawn]).softmax(0)
        own = user @ head.item_vectors[target]
        others = [user @ head.item_vectors[item] for item in drawn]
        if negatives is None:
            normalizer = torch.stack(others).logsumexp(0)
        else:
            weight = math.log(len(rivals) / len(drawn))
            kept = [score + weight for score, item in zip(others, drawn, strict=True) if item != target]
            normalizer = torch.stack([own, *kept]).logsumexp(0)
        expected = sum(part * score for part, score in zip(shares, others, strict=True))
        total = total + normalizer - (1 - share) * own - share * expected
    return total


def answers_loss(
    hybrid: HybridCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    templates: Sequence[str],
    questions: Sequence[Question],
    modes: Sequence[Mode],
) -> Tensor:
    """Sum over prompts, each in its mode."""
    reading, total = Reading(tokenizer, hybrid.fusion, marked=False), torch.zeros((), dtype=torch.float64)
    for asked, mode in zip(questions, modes, strict=True):
        laid, _ = reading.ask(templates[asked.template], asked, mode)
        total = total + answer_loss(hybrid, laid, answer_of(tokenizer, asked))
    return total


def answer_of(tokenizer: PreTrainedTokenizerFast, question: Question) -> list[int]:
    """Token ids of the right title and of the text's end."""
    return [*tokenizer(f" {TITLES[question.target]}").input_ids, tokenizer.eos_token_id]


def choices_loss(
    model: ChoiceModel,
    tokenizer: PreTrainedTokenizerFast,
    templates: Sequence[str],
    questions: Sequence[Question],
    modes: Sequence[Mode],
) -> Tensor:
    """Sum over prompts, each in its mode."""
    reading, total = Reading(tokenizer, model.hybrid.fusion, marked=True), torch.zeros((), dtype=torch.float64)
    for asked, mode in zip(questions, modes, strict=True):
        laid, places = reading.ask(templates[asked.template], asked, mode)
        total = total + choice_loss(model, laid, places, asked)
    return total


def streams_loss(
    model: StreamModel,
    tokenizer: PreTrainedTokenizerFast,
    chunks: Sequence[tuple[list[int], list[int | None]]],
    modes: Sequence[Mode],
) -> Tensor:
    """Sum over chunks, each in its mode, of the loss over all items."""
    reading, total = Reading(tokenizer, model.hybrid.fusion, marked=True), torch.zeros((), dtype=torch.float64)
    everything = range(1, len(model.head.item_vectors))
    for (items, following), mode in zip(chunks, modes, strict=True):
        total = total + stream_loss(model, reading.lay_out(items, mode), items, following, everything)
    return total
