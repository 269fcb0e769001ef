"""Encoded histories, with or without what follows, as the tensors that the stream model reads."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from llara_core.hybrid.batching import IGNORED, pad_on_the_right
from llara_core.prompting.histories import EncodedHistory
from llara_core.tables.items import PADDING_ID


def pad_histories(histories: Sequence[EncodedHistory], filler_id: int) -> dict[str, Tensor]:
    """Stack histories, padded on the right.

    Returns:
        input_ids [B, S], slot_mask [B, S] bool, slot_items [K], readouts [B, T].
    """
    batch = pad_on_the_right([history.prompt for history in histories], filler_id)
    return {**batch, "readouts": _pad([history.readouts for history in histories], 0)}


def pad_chunks(
    histories: Sequence[EncodedHistory], items: Sequence[Sequence[int]], following: Sequence[Sequence[int]], filler: int
) -> dict[str, Tensor]:
    """Stack chunks for training.

    Args:
        histories: B encoded chunks.
        items: [B][T] their item ids.
        following: [B][T] the item that follows each, IGNORED where it doesn't count.
        filler: any token.

    Returns:
        what `pad_histories` does, history [B, T] and labels [B, T].
    """
    batch = pad_histories(histories, filler)
    return {**batch, "history": _pad(items, PADDING_ID), "labels": _pad(following, IGNORED)}


def _pad(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=fill)
