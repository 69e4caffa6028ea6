"""Compute keys and values once for the prefix that all prompts share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import DynamicCache


def common_start(prompts: Sequence[Sequence[int]]) -> list[int]:
    """The longest common prefix of all prompts, leaving at least one token of each to read."""
    if len(prompts) < 2:
        return []
    first, last = min(prompts), max(prompts)
    most = min(len(ids) for ids in prompts) - 1
    n = next((i for i in range(most) if first[i] != last[i]), most)
    return list(first[:n])


def without_adapter(model: Any) -> Any:
    """The model inside a PEFT model, whose active adapter still applies; any other model as it is."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def cache_dtype(model: Any) -> Any:
    """The dtype of cached keys and values: that of the matrix products that compute them.

    On a T4 the residual stream is float32 and the products are float16, which halves the cache.
    """
    quantised = getattr(model.config, "quantization_config", None)
    return quantised.bnb_4bit_compute_dtype if getattr(quantised, "load_in_4bit", False) else model.dtype


class _Narrow(DynamicCache):
    """A cache that stores keys and values in `dtype` and returns them in the caller's dtype."""

    def __init__(self, dtype: Any):
        super().__init__()
        self.dtype = dtype

    def update(self, key_states, value_states, *args, **kwargs):
        """Add keys and values of a layer; return all of them so far, in the caller's dtype."""
        wide = key_states.dtype
        kept = super().update(key_states.to(self.dtype), value_states.to(self.dtype), *args, **kwargs)
        return tuple(tensor.to(wide) for tensor in kept)


class Prefix:
    """Keys and values of the tokens that all prompts begin with, computed once and copied for each batch.

    All layers are cached in full: a sliding layer's own cache drops tokens that a shorter row of a batch needs. The
    window still applies, because the masks come from the model's configuration and not from the cache.
    """

    def __init__(self, model, ids: Sequence[int]):
        import torch

        self.length, self.dtype = len(ids), cache_dtype(model)
        self.layers: list[tuple] = []
        if ids:
            cache = _Narrow(self.dtype)
            with torch.inference_mode():
                start = torch.tensor([list(ids)], device=model.device)
                without_adapter(model).model(
                    input_ids=start, past_key_values=cache, use_cache=True
                )  # no words are needed
            self.layers = [(layer.keys, layer.values) for layer in cache.layers]

    def for_rows(self, padding: Sequence[int]):
        """A left-padded cache for a batch: a row with `p` pads holds only the first `length - p` tokens.

        All rows end at the same column, without a gap between the prefix and a note. A gap would use up part of the
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
