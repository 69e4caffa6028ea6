"""Which prompts are answered together: longest first, as many as the device's memory holds, fewer after running out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import RunError

# Part of the free memory that the estimate may fill; the rest is for fragmentation and what it does not know.
_MARGIN = 0.8


def bytes_a_row(config: Any, *, tokens: int, cache_bytes: int) -> int:
    """Device memory of one answer in the making; read off the operations, not measured.

    Args:
        config: the model's. tokens: of prompt and answer. cache_bytes: of one kept number.
    """
    text = config.get_text_config()
    kept = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * cache_bytes
    one_layer = 3 * text.intermediate_size * 4  # while the prompt is read
    logits = 4 * text.vocab_size * 4  # as they come, in float32, masked, and the mask
    return tokens * (kept + one_layer) + logits


def fitting_rows(model: Any, *, cache_bytes: int) -> Callable[[int], int] | None:
    """How many rows of a number of tokens fit into what is free on the model's GPU now; None on a CPU."""
    import torch

    if model.device.type != "cuda":
        return None

    def fitting(tokens: int) -> int:
        cached = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        free = (torch.cuda.mem_get_info()[0] + cached) * _MARGIN
        return int(free // bytes_a_row(model.config, tokens=tokens, cache_bytes=cache_bytes))

    return fitting


class Batches:
    """Batches of places among the prompts, longest first, so that what does not fit shows at once.

    Args:
        tokens: of prompt and answer, by place. most: rows of a batch. fitting: see `fitting_rows`.
    """

    def __init__(self, tokens: Mapping[int, int], most: int, fitting: Callable[[int], int] | None = None):
        self._tokens, self._most, self._fitting = tokens, most, fitting
        self._left = sorted(tokens, key=lambda place: -tokens[place])

    def __iter__(self) -> Iterator[list[int]]:
        while self._left:
            fits = self._fitting(self._tokens[self._left[0]]) if self._fitting else self._most
            rows = max(1, min(self._most, fits))
            batch, self._left = self._left[:rows], self._left[rows:]
            yield batch

    def too_many(self, batch: list[int]) -> None:
        """Memory ran out: the batch is put back, and from here on half as many rows are taken.

        Raises:
            RunError: it was a single row.
        """
        if len(batch) == 1:
            raise RunError("out of memory with one note at a time: fewer max_new_tokens, or a device with more memory")
        self._left, self._most = batch + self._left, len(batch) // 2
