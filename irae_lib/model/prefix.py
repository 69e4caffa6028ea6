"""The shared prefix of a batch of prompts: the tokens they begin with, and their keys and values, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import DynamicCache


def common_start(prompts: Sequence[Sequence[int]]) -> list[int]:
    """The tokens all prompts begin with, short of the last token of any of them: something must be left to read."""
    if len(prompts) < 2:
        return []
    first, last = min(prompts), max(prompts)
    most = min(len(ids) for ids in prompts) - 1
    n = next((i for i in range(most) if first[i] != last[i]), most)
    return list(first[:n])


def cache_dtype(model: Any) -> Any:
    """The dtype that keys and values are kept in: that of the matrix products that made them.

    On a T4 the residual stream is float32 and the products are float16, so what is kept halves.
    """
    quantised = getattr(model.config, "quantization_config", None)
    return quantised.bnb_4bit_compute_dtype if getattr(quantised, "load_in_4bit", False) else model.dtype


class _Narrow(DynamicCache):
    """A cache that keeps keys and values in `dtype` and hands them out in the dtype they came in."""

    def __init__(self, dtype: Any):
        super().__init__()
        self.dtype = dtype

    def update(self, key_states, value_states, *args, **kwargs):
        """Add keys and values of a layer; all of them so far, in the caller's dtype."""
        wide = key_states.dtype
        kept = super().update(key_states.to(self.dtype), value_states.to(self.dtype), *args, **kwargs)
        return tuple(tensor.to(wide) for tensor in kept)


class Prefix:
    """Keys and values of the tokens that all prompts begin with, computed once and copied for each batch.

    All layers are kept whole: a sliding layer's own cache forgets what a shorter row of a batch would need. The window
    is still respected, for the masks come from the model's configuration and not from the cache.
    """

    def __init__(self, model, ids: Sequence[int]):
        import torch

        self.length, self.dtype = len(ids), cache_dtype(model)
        self.layers: list[tuple] = []
        if ids:
            cache = _Narrow(self.dtype)
            with torch.inference_mode():
                start = torch.tensor([list(ids)], device=model.device)
                model(input_ids=start, past_key_values=cache, use_cache=True, logits_to_keep=1)
            self.layers = [(layer.keys, layer.values) for layer in cache.layers]

    def for_rows(self, padding: Sequence[int]):
        """A cache for a batch, padded on the left: a row with `p` pads holds only the first `length - p` tokens.

        So all rows end at the same column, and no hole opens between the prefix and a note: a hole would eat into the
        sliding window, and the answer would depend on the other notes of the batch.
        """
        cache = _Narrow(self.dtype)
        for number, tensors in enumerate(self.layers):
            copies = []
            for tensor in tensors:
                rows = tensor.new_zeros((len(padding), *tensor.shape[1:]))
                for row, p in enumerate(padding):
                    rows[row, :, p : self.length] = tensor[0, :, : max(0, self.length - p)]
                copies.append(rows)
            cache.update(*copies, number)
        return cache
