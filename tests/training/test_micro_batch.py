"""How an update is divided: chosen by memory, without a change of what is learned, smaller after running out."""

from dataclasses import replace

import pytest
import torch
from labels import PROFILE, ROWS
from medgemma_config import medgemma_text_config

from irae_lib.errors import RunError
from irae_lib.model.adapters import lora_config
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.training.callbacks import loss_curve
from irae_lib.training.memory import GIB
from irae_lib.training.micro_batch import MicroBatch, fit, micro_batches, parts, smaller
from irae_lib.training.rows import dataset
from irae_lib.training.trainer import ResumableTrainer, prepare, sft_config
from irae_lib.workspace.profiles import PROFILES, REHEARSAL_BASE

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(
    ("profile", "free_gib", "length", "rows", "checkpointing"),
    [
        ("t4", 14.5, 448, 4, True),
        ("t4", 14.5, 1088, 4, True),
        ("t4", 14.5, 2048, 4, True),
        ("t4", 10.0, 2048, 2, True),
        ("t4", 8.5, 2048, 1, True),
        ("t4", 3.0, 2048, 1, True),
        ("gpu", 22.0, 448, 4, False),
        ("gpu", 39.0, 1088, 4, True),
        ("gpu", 79.0, 1088, 4, False),
    ],
)
def test_the_fewest_passes_that_fit_are_chosen(profile, free_gib, length, rows, checkpointing):
    way, why = fit(PROFILES[profile], medgemma_text_config(), length=length, free=free_gib * GIB, on_gpu=True)
    assert (way.at_once, way.checkpointing, way.batch_size) == (rows, checkpointing, 4)
    assert f"{free_gib:.1f} free" in why
    assert ("with checkpointing" in why) == checkpointing


def test_on_a_cpu_the_profile_stays_as_it_is():
    way, why = fit(PROFILE, medgemma_text_config(), length=448, free=GIB, on_gpu=False)
    assert way == PROFILE
    assert why.startswith("8 rows at a time, without checkpointing: the profile's own")


def test_each_way_but_the_last_has_a_smaller_one():
    ways = micro_batches(4)
    four, two, one = ([MicroBatch(rows, kept) for kept in (False, True)] for rows in (4, 2, 1))
    assert [smaller(way, 4) for way in ways] == [four[1], two[1], two[1], one[1], one[1], None]
    assert smaller(MicroBatch(3, True), 4) == two[1]
    assert ways[-1] == MicroBatch(1, True)


def test_parts_hold_every_row_once_without_columns_that_only_pad():
    mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    batch = {"input_ids": torch.arange(15).view(3, 5), "attention_mask": mask, "note": "as it is"}
    assert [list(p["input_ids"].shape) for p in parts(batch, 1)] == [[1, 4], [1, 2], [1, 1]]
    two = list(parts(batch, 2))
    assert two[0]["input_ids"].tolist() == [[0, 1, 2, 3], [5, 6, 7, 8]]
    assert two[1]["note"] == "as it is"
    assert [p["input_ids"].shape for p in parts(batch, 3)] == [(3, 5)]


def test_a_row_of_which_the_loss_sees_nothing_is_refused(tokenizer, tmp_path):
    profile = replace(PROFILE, batch_size=4)
    trainer = ResumableTrainer(
        model=load_base(profile),
        args=sft_config(profile, tmp_path, epochs=1, learning_rate=1e-3, max_length=48, seed=3),
        train_dataset=dataset(ROWS),
        processing_class=tokenizer,
        peft_config=lora_config(),
    )
    with pytest.raises(
        RunError, match="4 of 4 rows have no scored token: the answer is empty, or cut at max_length 48"
    ):
        prepare(trainer)
    kept = load_base(profile), sft_config(profile, tmp_path, epochs=1, learning_rate=1e-3, max_length=768, seed=3)
    trainer = ResumableTrainer(
        model=kept[0], args=kept[1], train_dataset=dataset(ROWS), processing_class=tokenizer, peft_config=lora_config()
    )
    trainer.data_collator = lambda rows: {"input_ids": torch.ones(1, 9), "labels": torch.full((1, 9), -100)}
    with pytest.raises(RunError, match="4 of 4 rows have no scored token"):
        prepare(trainer)


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(REHEARSAL_BASE)


def trained(tokenizer, folder, *, epochs=2, kind=ResumableTrainer, at=None, rows=ROWS, **division):
    """A trainer after two epochs over four rows of different length, without dropout: it draws per part."""
    from transformers import set_seed

    set_seed(3)
    profile = replace(PROFILE, batch_size=4, **division)
    trainer = kind(
        model=load_base(profile),
        args=sft_config(profile, folder, epochs=epochs, learning_rate=1e-3, max_length=768, seed=3),
        train_dataset=dataset(rows),
        processing_class=tokenizer,
        peft_config=lora_config(dropout=0.0),
    )
    prepare(trainer, every_minutes=0.0 if at else 99.0)
    trainer.train(resume_from_checkpoint=str(at) if at and at.exists() else None)
    return trainer


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters() if p.requires_grad])


def test_gradients_are_those_of_the_whole_update(tokenizer, tmp_path):
    whole = trained(tokenizer, tmp_path / "4", at_once=4)
    losses = [point["loss"] for point in loss_curve(whole)]
    for division in ({"at_once": 2}, {"at_once": 1}, {"at_once": 1, "checkpointing": True}):
        divided = trained(tokenizer, tmp_path / str(division), **division)
        assert [point["loss"] for point in loss_curve(divided)] == pytest.approx(losses, abs=2e-4)
        assert torch.allclose(weights(divided), weights(whole), atol=2e-5), division


class Tight(ResumableTrainer):
    """A device that holds one row and no more, and fails in the middle of an update."""

    seen: list[int] = []

    def compute_loss(self, model, inputs, **options):
        rows = len(inputs["input_ids"])
        loss = super().compute_loss(model, inputs, **options)
        if rows > 1:
            loss.backward()  # as when memory runs out in the backward pass: gradients are half made
            raise [torch.OutOfMemoryError("no room"), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")][rows == 2]
        self.seen.append(rows)
        return loss


def test_out_of_memory_takes_smaller_parts_and_loses_nothing(tokenizer, tmp_path, capsys):
    whole = trained(tokenizer, tmp_path / "4", at_once=4)
    tight = trained(tokenizer, tmp_path / "tight", at_once=4, kind=Tight)
    said = "".join(capsys.readouterr())
    assert "out of memory with 4 rows at a time, without checkpointing; from here on 4 rows" in said
    assert "from here on 1 row at a time, with checkpointing" in said
    assert Tight.seen == [1] * 8, "two updates of four rows, and no second trial of what had failed"
    assert torch.allclose(weights(tight), weights(whole), atol=2e-5)


def test_without_a_smaller_way_the_run_ends_with_a_remedy(tokenizer, tmp_path):
    class Full(ResumableTrainer):
        def compute_loss(self, *args, **options):
            raise torch.OutOfMemoryError("no room")

    with pytest.raises(RunError, match="one row at a time; use a lower rank, shorter notes"):
        trained(tokenizer, tmp_path, at_once=2, kind=Full)


def test_a_grouped_run_that_was_cut_off_ends_bit_identical(tokenizer, tmp_path):
    grouped = {"at_once": 2, "grouped": True, "rows": ROWS * 3, "epochs": 3}
    whole = trained(tokenizer, tmp_path / "whole", **grouped)
    trained(tokenizer, tmp_path / "cut", **grouped, at=tmp_path / "none")
    again = trained(tokenizer, tmp_path / "cut", **grouped, at=tmp_path / "cut" / "checkpoint-8")
    assert whole.state.global_step == again.state.global_step == 9
    assert torch.equal(weights(whole), weights(again))


def test_grouping_puts_like_lengths_together(tokenizer, tmp_path):
    from irae_lib.training.trainer import _Grouped

    lengths = [10 * (n % 7) + n for n in range(84)]
    sampler = _Grouped(4, lengths=lengths, seed=3)
    order = list(sampler)
    assert sorted(order) == list(range(84))
    assert lengths[order[0]] == max(lengths), "the longest first: what does not fit shows at once"
    spread = [max(some) - min(some) for some in ([lengths[i] for i in order[n : n + 4]] for n in range(4, 84, 4))]
    assert sum(spread) / len(spread) < 20
    assert list(sampler) != order
    sampler.set_epoch(0)
    assert list(sampler) == order
