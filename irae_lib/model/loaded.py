"""Answer cases with a loaded model: a base, its named adapters, the tokenizer, and answers cached on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .. import prompts, schemas
from ..files import file_sha256, source_hash
from ..workspace import profiles
from . import adapters as adapter_code
from . import answers, base, generate, grammar, prefix
from .answer_cache import AnswerCache

# The modules that affect an answer, in addition to the prompts, the weights and the settings.
ANSWERING = (adapter_code, answers, base, generate, grammar, prefix, profiles, prompts, schemas)


class LoadedModel:
    """A base model in the precision of a profile, with named adapters. The arm "base" is the base alone.

    Args:
        profile: sets base, commit, precision, batch size and the maximum number of answer tokens.
        adapters: name -> adapter folder.

    Raises:
        AccessError: the base is gated and no token is set. AdapterError: an adapter does not belong to the base.
    """

    def __init__(self, profile: profiles.Profile, adapters: Mapping[str, Path] = MappingProxyType({})):
        self.profile, self.adapters = profile, {name: Path(folder) for name, folder in adapters.items()}
        self.tokenizer = base.load_tokenizer(profile.base_model, profile.revision)
        self.model = adapter_code.load_adapters(base.load_base(profile), profile.base_model, self.adapters)

    @contextmanager
    def using(self, arm: str) -> Iterator[Any]:
        """Switch the model to one arm inside a `with` block: "base", or the name of an adapter."""
        if arm == "base" and self.adapters:
            with self.model.disable_adapter():
                yield self.model
            return
        if arm != "base":
            self.model.set_adapter(arm)
        yield self.model

    def answer(
        self,
        cases: Sequence[schemas.Case],
        arm: str = "base",
        *,
        prompt: prompts.Prompt = prompts.COMPACT,
        label: str = "",
        cache: Path | None = None,
        **options: Any,
    ) -> list[answers.Answer]:
        """The answers of one arm, in the order of the cases.

        Args:
            label: the label of the progress bar; "" hides it.
            cache: a file of answers, from which an interrupted call resumes. A different model, prompt, list of notes
                or code version starts it anew.
            options: as in `generate.answer_all`.
        """
        sizes = {"batch_size": self.profile.decode_batch, "max_new_tokens": self.profile.max_new_tokens}
        known = AnswerCache(cache, cases, self._identity(arm) | {"prompt": prompt.version, **sizes}) if cache else None
        options |= sizes | {"prompt": prompt, "label": label, "cache": known}
        with self.using(arm) as model:
            return generate.answer_all(model, self.tokenizer, cases, **options)

    def _identity(self, arm: str) -> dict[str, Any]:
        """The cache key of an arm: weights, precision and code."""
        profile = self.profile
        precision = [profile.revision, profile.dtype, profile.compute_dtype, profile.four_bit]
        weights = file_sha256(self.adapters[arm] / "adapter_model.safetensors") if arm != "base" else None
        code = source_hash(*ANSWERING, data=prompts.FOLDER.iterdir())
        return {"base": [base.base_sha256(profile.base_model), *precision], "adapter": weights, "code": code}
