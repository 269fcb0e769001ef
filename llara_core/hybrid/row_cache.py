"""Keys and values of texts that go on token by token, each at its own pace."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import Cache, DynamicCache


class RowCache(Cache):
    """Keeps a row for each text, and in it every token in the column that is its place in its text.

    So texts of different lengths begin in the same column, what was read as padding behind one is written over, nothing
    is copied when tokens come, and a text that is over leaves room at the price of one row.
    """

    def __init__(self, n_rows: int, width: int) -> None:
        """Take texts of up to `width` tokens."""
        super().__init__(layers=[])
        self._shape = n_rows, width
        self._kept: list[list[Tensor]] = []  # by layer, keys and values [rows, heads, width, D]
        self._next, self._end = torch.empty(0), 0

    def put(self, row: int, read: DynamicCache) -> None:
        """Keep B texts, read from their first token on and padded on the right, in the rows from `row` on."""
        n_rows, width = self._shape
        for number, layer in enumerate(read.layers):
            own = layer.keys, layer.values
            if number == len(self._kept):
                # Zeros, for what isn't seen is weighed by zero: it must be a number.
                self._kept.append([part.new_zeros(n_rows, part.shape[1], width, part.shape[3]) for part in own])
            for kept, part in zip(self._kept[number], own, strict=True):
                kept[row : row + len(part), :, : part.shape[2]] = part

    def leave(self, staying: Sequence[int]) -> list[int]:
        """Forget all rows but those `staying`, and return which row each of these, the first ones now, was before."""
        order = list(range(len(staying)))
        holes = sorted(set(order).difference(staying))
        moved = [row for row in staying if row >= len(staying)]
        for hole, row in zip(holes, moved, strict=True):
            order[hole] = row
        for kept in (part for layer in self._kept for part in layer):
            kept[holes] = kept[moved]
        return order

    def expect(self, places: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Say where in their texts the next tokens of the first B rows stand.

        Returns:
            visible [B, 1, S] bool, places [B, 1] and positions [B, S], as `HybridCausalLM.states_seeing` takes them.
        """
        self._next, self._end = torch.tensor(places, device=device), max(places) + 1
        columns = torch.arange(self._end, device=device).expand(len(places), -1)
        own = self._next[:, None]
        return (columns <= own)[:, None], own, columns

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Keep one token of each of the first B rows, [B, heads, 1, D], and return all of these up to the longest."""
        keys, values = self._kept[layer_idx]
        rows = torch.arange(len(key_states), device=key_states.device)
        keys[rows, :, self._next] = key_states[:, :, 0]
        values[rows, :, self._next] = value_states[:, :, 0]
        return keys[: len(rows), :, : self._end], values[: len(rows), :, : self._end]
