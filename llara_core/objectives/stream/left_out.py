"""A history without each of its items in turn, read in one pass: what precedes the item that is left out is shared.

No token sees what stands behind it, so the states in front of an item are the same with it and without it. The whole
history stands in one row, and behind it, for each item, what follows without it; a mask shows such a part the beginning
of the history and itself. Half the tokens of as many separate histories, and so half the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llara_core.prompting.encoding import EncodedPrompt
from llara_core.prompting.histories import EncodedHistory


@dataclass(frozen=True)
class Tree:
    """N tokens of a history and of its L parts, with K slots.

    Attributes:
        input_ids: [1, N].
        slot_mask: [1, N] bool.
        slot_items: [K] item ids.
        positions: [1, N] where each token would stand in a history of its own.
        visible: [N, N] bool, whether a row's token sees a column's.
        readouts: [L] the place of the token that has read all but one item.
    """

    input_ids: Tensor
    slot_mask: Tensor
    slot_items: Tensor
    positions: Tensor
    visible: Tensor
    readouts: Tensor


def lay_out(whole: EncodedHistory, others: Sequence[EncodedHistory]) -> Tree:
    """Lay out a history, and L others that begin as it does, each as far as it goes."""
    own = _tokens(whole.prompt)
    shown, positions, readouts = list(own), list(range(len(own))), []
    starts, shares = [], []
    for other in others:
        tokens = _tokens(other.prompt)
        shared = next((i for i, pair in enumerate(zip(own, tokens, strict=False)) if pair[0] != pair[1]), len(tokens))
        last = other.readouts[-1]
        readouts.append(last if last < shared else len(shown) + last - shared)
        starts.append(len(shown))
        shares.append(shared)
        shown += tokens[shared:]
        positions += range(shared, len(tokens))
    visible = torch.ones(len(shown), len(shown), dtype=torch.bool).tril()
    for start, end, shared in zip(starts, [*starts[1:], len(shown)], shares, strict=True):
        visible[start:end, shared:start] = False
    return Tree(
        torch.tensor([[token for token, _ in shown]]),
        torch.tensor([[item is not None for _, item in shown]]),
        torch.tensor([item for _, item in shown if item is not None], dtype=torch.long),
        torch.tensor([positions]),
        visible,
        torch.tensor(readouts),
    )


def _tokens(prompt: EncodedPrompt) -> list[tuple[int, int | None]]:
    """Each token's id, and the item of a slot."""
    items = iter(prompt.slot_items)
    return [
        (token, next(items) if slot else None) for token, slot in zip(prompt.input_ids, prompt.slot_mask, strict=True)
    ]
