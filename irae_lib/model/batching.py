"""Batch prompts, longest first, by free device memory; use smaller batches after an out-of-memory error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import RunError

# Share of the free memory that the estimate may use; the rest covers fragmentation and unestimated allocations.
_MARGIN = 0.8


def bytes_a_row(config: Any, *, tokens: int, cache_bytes: int) -> int:
    """Device memory of one row during generation, in bytes; derived from the operations, not measured.

    Args:
        config: the model's. tokens: of prompt and answer. cache_bytes: of one cached number.
    """
    text = config.get_text_config()
    kept = 2 * text.num_hidden_layers * text.num_key_value_heads * text.head_dim * cache_bytes
    one_layer = 3 * text.intermediate_size * 4  # while the prompt is read
    logits = 4 * text.vocab_size * 4  # original, float32, masked, and the mask
    return tokens * (kept + one_layer) + logits


def fitting_rows(model: Any, *, cache_bytes: int) -> Callable[[int], int] | None:
    """A function from tokens per row to the rows that fit into the GPU memory now free; None on a CPU."""
    import torch

    if model.device.type != "cuda":
        return None

    def fitting(tokens: int) -> int:
        cached = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        free = (torch.cuda.mem_get_info()[0] + cached) * _MARGIN
        return int(free // bytes_a_row(model.config, tokens=tokens, cache_bytes=cache_bytes))

    return fitting


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error means that the GPU is full: PyTorch's own, or that of a library that allocates by itself."""
    import torch

    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in said or "ALLOC_FAILED" in said


class Batches:
    """Batches of prompt positions, longest first, so that running out of memory shows at once.

    Args:
        tokens: of prompt and answer, by position. most: maximum rows of a batch. fitting: see `fitting_rows`.
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
        """Return a batch that ran out of memory to the queue, and halve the batch size from here on.

        Raises:
            RunError: the batch was a single row.
        """
        if len(batch) == 1:
            raise RunError(
                "out of memory with one note at a time; use fewer max_new_tokens, or a device with more memory"
            )
        self._left, self._most = batch + self._left, len(batch) // 2
