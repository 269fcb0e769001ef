"""The hybrid causal language model: reads titles as tokens and items as projected recommender embeddings."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import Cache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast

from llara_core.hybrid.attention import FLASH, stand_in
from llara_core.hybrid.batching import IGNORED
from llara_core.hybrid.families import logit_cap
from llara_core.hybrid.masks import attention_masks
from llara_core.hybrid.projector import Projector
from llara_core.hybrid.splice import add_at_slots, splice
from llara_core.params.projector import FusionKind


class HybridCausalLM(nn.Module):
    """A causal language model whose prompts may hold behavioural tokens.

    The recommender's item embeddings are a constant; the projector and whatever `llm` leaves trainable are learnt.
    """

    def __init__(self, llm: PreTrainedModel, projector: Projector, fusion: FusionKind, item_embeddings: Tensor) -> None:
        """Join the parts; item_embeddings [n + 1, D] has a row per item id."""
        super().__init__()
        self.fusion = fusion
        self.llm = llm
        self.projector = projector
        self.register_buffer("item_embeddings", item_embeddings, persistent=False)
        self.item_embeddings: Tensor

    def embed(self, input_ids: Tensor, slot_mask: Tensor, slot_items: Tensor) -> Tensor:
        """Input embeddings [B, S, H] of input_ids [B, S], the slots of slot_mask [B, S] filled by slot_items [K]."""
        tokens = self.llm.get_input_embeddings()(input_ids)
        if not len(slot_items):
            return tokens
        join = add_at_slots if self.fusion in ("add", "gate") else splice
        return join(tokens, slot_mask, self.projector.at_slots(self.item_embeddings[slot_items], slot_mask))

    def backbone(self, **inputs: object) -> BaseModelOutputWithPast:
        """Run the transformer without its vocabulary head, in which most of a short answer's time would go."""
        return getattr(self.llm, self.llm.base_model_prefix)(**inputs)

    def states(self, input_ids: Tensor, slot_mask: Tensor, slot_items: Tensor) -> Tensor:
        """[B, S, H] the state at every token, for arguments as `forward` has them.

        Padding on the right needs no mask, for no token sees what stands behind it; without one, attention is quicker.
        """
        embeddings = self.embed(input_ids, slot_mask, slot_items)
        return self.backbone(inputs_embeds=embeddings, use_cache=False).last_hidden_state

    def read_ends(self, embeddings: Tensor, lengths: Tensor, cache: Cache) -> Tensor:
        """[B, H] the states at the last tokens of texts of these lengths [B], given embeddings [B, S, H].

        They are padded on the right, which needs no mask; without one, attention is quicker. `cache`, an empty one,
        keeps the keys and values of all tokens, padding included. Besides, what the last layer makes of a token is
        never seen by another: its MLP is run at the ends alone.
        """
        rows, ends = torch.arange(len(lengths), device=lengths.device), lengths - 1
        backbone = getattr(self.llm, self.llm.base_model_prefix)
        hook = backbone.layers[-1].mlp.register_forward_pre_hook(lambda _, inputs: inputs[0][rows, ends][:, None])
        try:
            return self.backbone(inputs_embeds=embeddings, past_key_values=cache, use_cache=True).last_hidden_state[
                rows, ends
            ]
        finally:
            hook.remove()

    def states_seeing(
        self, embeddings: Tensor, visible: Tensor, places: Tensor, positions: Tensor, cache: Cache | None = None
    ) -> Tensor:
        """[B, N, H] the states at tokens that see what they are told to, so far as the model's sliding windows reach.

        Args:
            embeddings: [B, N, H] of the tokens.
            visible: [B, N, S] bool, whether a token sees each of S, of which these are some.
            places: [B, N] the place of each token in its own text.
            positions: [B, S] the places of the S in theirs.
            cache: takes keys and values of these, and has those of all S, in all layers; without, the S are these.
        """
        distance = places[:, :, None] - positions[:, None, :]
        with self._taking_masks():
            return self.backbone(
                inputs_embeds=embeddings,
                attention_mask=attention_masks(self.llm.config, visible, distance, embeddings.dtype),
                position_ids=places,
                past_key_values=cache,
                use_cache=cache is not None,
            ).last_hidden_state

    @contextmanager
    def _taking_masks(self) -> Iterator[None]:
        """Flash attention knows who sees whom by itself: where a mask says it, another implementation stands in."""
        config, chosen = self.llm.config, self.llm.config._attn_implementation
        if chosen == FLASH:
            config._attn_implementation = stand_in(config)
        try:
            yield
        finally:
            config._attn_implementation = chosen

    def head(self, states: Tensor) -> Tensor:
        """Vocabulary logits [..., V] of states [..., H], in fp32 at least."""
        logits = self.llm.get_output_embeddings()(states)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        cap = logit_cap(self.llm.config)
        return logits if cap is None else cap * (logits / cap).tanh()

    def forward(self, input_ids: Tensor, slot_mask: Tensor, slot_items: Tensor, labels: Tensor) -> Tensor:
        """Sum of the answer tokens' cross-entropies, a scalar in nats; logits are made at answer positions alone.

        Args:
            input_ids: [B, S], padded on the right.
            slot_mask: [B, S] bool with K slots.
            slot_items: [K] item ids.
            labels: [B, S], IGNORED outside the answer.
        """
        states = self.states(input_ids, slot_mask, slot_items)
        following = labels[:, 1:]
        answers = following != IGNORED
        return cross_entropy(self.head(states[:, :-1][answers]), following[answers], reduction="sum")

    @property
    def width(self) -> int:
        """H, of its states."""
        return int(self.llm.get_input_embeddings().weight.shape[1])

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.item_embeddings.device
