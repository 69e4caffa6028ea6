"""Which notes are answered together: by memory, longest first, fewer after running out, with the same answers."""

from dataclasses import replace

import pytest
import torch
from labels import PROFILE
from medgemma_config import medgemma_text_config

from irae_lib.cases import validated_cases
from irae_lib.errors import RunError
from irae_lib.files import DATA
from irae_lib.model import generate, prefix
from irae_lib.model.adapters import load_adapters
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.model.batching import Batches, bytes_a_row, fitting_rows
from irae_lib.model.generate import answer_all
from irae_lib.schemas import FIELDS
from irae_lib.workspace.profiles import REHEARSAL_BASE

NOTES = [case.case for case in validated_cases()]
GIB = 2**30


def test_long_notes_come_first_and_shorter_ones_in_larger_batches():
    tokens = {0: 100, 1: 900, 2: 400, 3: 450, 4: 50}
    assert list(Batches(tokens, 2)) == [[1, 3], [2, 0], [4]]
    assert list(Batches(tokens, 3, lambda length: 1000 // length)) == [[1], [3, 2], [0, 4]]
    assert list(Batches({7: 9000}, 3, lambda length: 0)) == [[7]], "one note is tried whatever the estimate says"


def test_a_batch_that_ran_out_is_put_back_and_halved():
    batches = Batches({n: 100 - n for n in range(5)}, 4)
    done = []
    for batch in batches:
        if len(batch) > 1:
            batches.too_many(batch)
        else:
            done += batch
    assert done == [0, 1, 2, 3, 4]
    with pytest.raises(RunError, match="one note at a time; use fewer max_new_tokens"):
        batches.too_many([3])


def test_sixty_notes_of_usual_length_fit_beside_medgemma_on_a_t4():
    """Measured with 16 notes on an H200 under a T4's cap: 7.23 GiB reserved, 4.3 of them the model."""
    row = bytes_a_row(medgemma_text_config(), tokens=700 + 256, cache_bytes=4)
    assert 1.0 <= 16 * row / ((7.23 - 4.3) * GIB) <= 3.0
    half = bytes_a_row(medgemma_text_config(), tokens=700 + 256, cache_bytes=2)
    assert half < 0.7 * row
    assert 30 <= 0.8 * (14.5 - 4.4) * GIB / half


def test_a_cpu_takes_what_it_is_told():
    assert fitting_rows(load_base(PROFILE), cache_bytes=4) is None


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(REHEARSAL_BASE)


def test_running_out_of_memory_changes_no_answer(tokenizer, monkeypatch):
    tuned = load_adapters(load_base(PROFILE), REHEARSAL_BASE, {"full": DATA / "rehearsal_adapter"})
    whole = answer_all(tuned, tokenizer, NOTES, label="")
    sizes, decode = [], generate.decode

    def tight(model, prompts, *args, **options):
        sizes.append(len(prompts))
        if len(prompts) > 3:
            raise torch.OutOfMemoryError("no room")
        return decode(model, prompts, *args, **options)

    monkeypatch.setattr(generate, "decode", tight)
    assert [a.text for a in answer_all(tuned, tokenizer, NOTES, label="")] == [a.text for a in whole]
    assert sizes == [11, 5, 2, 2, 2, 2, 2, 1]


def test_keys_and_values_in_float16_change_no_label(tokenizer, monkeypatch):
    """The policy of a T4, on a CPU: NF4 layers that multiply in float16, everything else in float32.

    Rounding may tip a tie between two words: one reasoning of the eleven differs, no label does.
    """
    from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm

    monkeypatch.setattr(Gemma3RMSNorm, "forward", Gemma3RMSNorm.forward)
    t4 = replace(PROFILE, four_bit=True, compute_dtype="float16")
    tuned = load_adapters(load_base(t4), REHEARSAL_BASE, {"full": DATA / "rehearsal_adapter"})
    assert prefix.cache_dtype(tuned) == torch.float16
    cache = prefix.Prefix(tuned, [2, 105, 200, 300])
    assert {tensor.dtype for layer in cache.layers for tensor in layer} == {torch.float16}
    narrow = answer_all(tuned, tokenizer, NOTES, label="")
    monkeypatch.setattr(prefix, "cache_dtype", lambda model: torch.float32)
    wide = answer_all(tuned, tokenizer, NOTES, label="")
    assert sum(one.text == other.text for one, other in zip(narrow, wide, strict=True)) >= 10
    for one, other in zip(narrow, wide, strict=True):
        assert all(getattr(one.assessment, field) == getattr(other.assessment, field) for field in FIELDS[:4])
        assert one.assessment.causality == other.assessment.causality
