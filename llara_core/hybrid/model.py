"""The hybrid causal language model: reads titles as tokens and items as projected recommender embeddings."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast

from llara_core.hybrid.batching import IGNORED
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

    def head(self, states: Tensor) -> Tensor:
        """Vocabulary logits [..., V] of states [..., H], in fp32 at least."""
        logits = self.llm.get_output_embeddings()(states)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

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
