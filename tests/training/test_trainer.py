"""Precision and survival on the rehearsal base: float16 that stays finite, runs that go on where they stopped."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from labels import PROFILE, ROWS

from irae_lib.errors import AdapterError, RunError
from irae_lib.model.adapters import half_copy, lora_config, read_record, save_adapter
from irae_lib.model.base import (
    _GEMMA_IDS,
    check_tokenizer,
    keep_residual_in_float32,
    load_base,
    load_tokenizer,
    spare_the_math_kernel,
)
from irae_lib.training.callbacks import loss_curve, ran_out_of_time
from irae_lib.training.rows import dataset
from irae_lib.training.trainer import ResumableTrainer, prepare, sft_config
from irae_lib.workspace import checkpoints
from irae_lib.workspace.profiles import REHEARSAL_BASE

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(REHEARSAL_BASE)


# --- float16 autocast, emulated on the CPU --------------------------------------------------------------


@pytest.fixture()
def stock_norm(monkeypatch):
    """Gemma 3's norm as it is, whatever a test does to the class."""
    from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm

    monkeypatch.setattr(Gemma3RMSNorm, "forward", Gemma3RMSNorm.forward)


def with_large_residual():
    """The rehearsal base with post-norm weights that push its residual stream past 65,504, as MedGemma's is."""
    base = load_base(PROFILE)
    with torch.no_grad():
        for layer in base.model.language_model.layers:
            layer.post_attention_layernorm.weight.fill_(3e4)
            layer.post_feedforward_layernorm.weight.fill_(3e4)
    return base


def residual_and_loss(base, tokenizer):
    seen = []
    hook = base.model.language_model.layers[-1].register_forward_hook(
        lambda module, inputs, output: seen.append((output[0] if isinstance(output, tuple) else output).detach())
    )
    ids = tokenizer("Nivolumab, cycle 3. ALT 640 U/L.", return_tensors="pt")["input_ids"]
    with torch.autocast("cpu", torch.float16):
        loss = base(input_ids=ids, labels=ids).loss
    hook.remove()
    return seen[0], loss


def test_float16_overflows_without_the_policy(stock_norm, tokenizer):
    residual, loss = residual_and_loss(with_large_residual(), tokenizer)
    assert not torch.isfinite(residual).all() or not torch.isfinite(loss)


def test_float16_stays_finite_with_the_residual_in_float32(stock_norm, tokenizer):
    keep_residual_in_float32()
    base = with_large_residual()
    residual, loss = residual_and_loss(base, tokenizer)
    assert residual.dtype == torch.float32
    assert residual.abs().max() > 65_504
    assert torch.isfinite(loss)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in base.parameters() if p.grad is not None)


def test_the_policy_changes_nothing_in_float32(stock_norm, tokenizer):
    base = load_base(PROFILE)
    ids = tokenizer("Nivolumab, cycle 3.", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        before = base(input_ids=ids).logits
        keep_residual_in_float32()
        assert torch.equal(base(input_ids=ids).logits, before)


# --- checkpoints ----------------------------------------------------------------------------------------


def make_trainer(tokenizer, folder, *, profile=PROFILE, loaded=None, epochs=4, **options):
    from transformers import set_seed

    set_seed(3)
    trainer = ResumableTrainer(
        model=loaded or load_base(profile),
        args=sft_config(
            replace(profile, four_bit=False, batch_size=2),
            folder,
            epochs=epochs,
            learning_rate=1e-3,
            max_length=768,
            seed=3,
        ),
        train_dataset=dataset(ROWS),
        processing_class=tokenizer,
        peft_config=lora_config(),
    )
    trainer.belongs = {"data_sha256": "a"}
    prepare(trainer, **options)
    return trainer


def lora(trainer) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters() if p.requires_grad}


def stop_after(trainer, updates: int) -> None:
    """Take the machine away: an error out of the blue after so many updates."""
    from transformers import TrainerCallback

    class Plug(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == updates:
                raise ConnectionError("the machine is gone")

    trainer.add_callback(Plug())


@pytest.mark.slow
@pytest.mark.parametrize("four_bit", [False, True], ids=["float32", "NF4"])
def test_a_run_that_was_cut_off_ends_bit_identical(tokenizer, tmp_path, four_bit):
    profile = replace(PROFILE, four_bit=four_bit)
    whole = make_trainer(tokenizer, tmp_path / "whole", profile=profile)
    whole.train()

    cut = make_trainer(tokenizer, tmp_path / "cut", profile=profile, every_minutes=0.0)
    stop_after(cut, 5)
    with pytest.raises(ConnectionError):
        cut.train()
    again = make_trainer(tokenizer, tmp_path / "cut", profile=profile)
    found = again.find_checkpoint()
    assert found.step == 5
    again.train(resume_from_checkpoint=str(found.folder))

    assert whole.state.global_step == again.state.global_step == 8
    assert all(torch.equal(a, b) for a, b in zip(lora(whole).values(), lora(again).values(), strict=True))
    curves = [[point["loss"] for point in loss_curve(one)] for one in (whole, again)]
    assert curves[0] == curves[1], "the curve of a resumed run is whole"


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_one(tokenizer, tmp_path, monkeypatch):
    trainer = make_trainer(tokenizer, tmp_path, every_minutes=0.0)

    def full_disk(folder, belongs):
        if folder.name == "checkpoint-3":
            raise OSError("No space left on device")
        real(folder, belongs)

    real = checkpoints.write_manifest
    monkeypatch.setattr(checkpoints, "write_manifest", full_disk)
    with pytest.raises(OSError, match="No space"):
        trainer.train()
    assert checkpoints.find(tmp_path, {"data_sha256": "a"}).step == 2


def test_checkpoints_are_copied_and_a_lost_drive_does_not_end_the_run(tokenizer, tmp_path, capsys):
    drive, gone = tmp_path / "drive", tmp_path / "gone"
    gone.write_text("no folder")
    trainer = make_trainer(tokenizer, tmp_path / "run", every_minutes=0.0, epochs=2)
    trainer.copies = (checkpoints.FolderCheckpoints(drive), checkpoints.FolderCheckpoints(gone))
    trainer.train()
    newest = checkpoints.find(drive, {"data_sha256": "a"})
    assert newest.step == 4, "the last update is kept as well"
    (tmp_path / "run" / "checkpoint-4" / "optimizer.pt").write_bytes(b"torn")
    trainer.copies = trainer.copies[:1]
    found = trainer.find_checkpoint()
    assert found.folder == newest.folder
    assert "checkpoint-4 is skipped" in found.skipped[0]
    assert "could not be copied to gone" in "".join(capsys.readouterr())


def test_another_run_is_not_gone_on_with(tokenizer, tmp_path):
    trainer = make_trainer(tokenizer, tmp_path, every_minutes=0.0, epochs=1)
    trainer.train()
    other = make_trainer(tokenizer, tmp_path)
    other.belongs = {"data_sha256": "b"}
    with pytest.raises(RunError, match="data_sha256 differ"):
        other.find_checkpoint()


@pytest.mark.parametrize(("first", "second"), [("float32", "bfloat16"), ("bfloat16", "float32")])
def test_a_run_in_another_precision_is_not_gone_on_with(tokenizer, tmp_path, first, second):
    trainer = make_trainer(tokenizer, tmp_path, profile=replace(PROFILE, compute_dtype=first), every_minutes=0.0)
    stop_after(trainer, 1)
    with pytest.raises(ConnectionError):
        trainer.train()
    again = make_trainer(tokenizer, tmp_path, profile=replace(PROFILE, compute_dtype=first))
    assert again.find_checkpoint().step == 1
    other = make_trainer(tokenizer, tmp_path, profile=replace(PROFILE, compute_dtype=second))
    with pytest.raises(RunError, match="checkpoint-1 in .* belongs to another run: precision differ"):
        other.find_checkpoint()


def test_epochs_are_one_or_more(tmp_path):
    for epochs in (0, -1):
        with pytest.raises(RunError, match=f"epochs is {epochs}; expected 1 or more"):
            sft_config(PROFILE, tmp_path, epochs=epochs, learning_rate=1e-3, max_length=64, seed=3)


@pytest.mark.slow
def test_the_time_budget_stops_with_a_checkpoint(tokenizer, tmp_path):
    trainer = make_trainer(tokenizer, tmp_path, max_minutes=1e-6)
    trainer.train()
    assert ran_out_of_time(trainer)
    assert trainer.state.global_step == 1
    assert trainer.find_checkpoint().step == 1
    rest = make_trainer(tokenizer, tmp_path)
    rest.train(resume_from_checkpoint=str(rest.find_checkpoint().folder))
    assert rest.state.global_step == 8
    assert not ran_out_of_time(rest)


# --- what is loaded and what is published ---------------------------------------------------------------


def test_float16_copy_is_half_the_size_and_nearly_the_same(tokenizer, tmp_path):
    from safetensors.torch import load_file

    trainer = make_trainer(tokenizer, tmp_path / "run", epochs=1)
    trainer.train()
    record = {"name": "full", "base_model": REHEARSAL_BASE, "base_revision": None, "prompt": "compact-1"}
    whole = save_adapter(trainer.model, tmp_path / "adapter", record)
    size = half_copy(tmp_path / "adapter", tmp_path / "half")
    assert 0.4 < size / whole["adapter_bytes"] < 0.6
    a, b = (load_file(Path(tmp_path) / name / "adapter_model.safetensors") for name in ("adapter", "half"))
    assert all(torch.allclose(a[name], b[name].float(), atol=1e-3) for name in a)
    assert read_record(tmp_path / "half")["adapter_bytes"] == size


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chat_template": None}, "has no chat template"),
        (
            {"chat_template": "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"},
            "does not write Gemma 3",
        ),
    ],
)
def test_a_tokenizer_of_another_family_is_refused(change, message):
    tokenizer = load_tokenizer(REHEARSAL_BASE)
    for name, value in change.items():
        setattr(tokenizer, name, value)
    with pytest.raises(AdapterError, match=message):
        check_tokenizer(tokenizer, "some/model")


def test_special_tokens_at_other_ids_are_refused(monkeypatch):
    tokenizer = load_tokenizer(REHEARSAL_BASE)
    monkeypatch.setitem(_GEMMA_IDS, "<end_of_turn>", 107)
    with pytest.raises(AdapterError, match=r"<end_of_turn> is \[106\] in the tokenizer of some/model"):
        check_tokenizer(tokenizer, "some/model")


def test_the_math_kernel_is_spared_below_compute_capability_8_only(monkeypatch):
    from transformers.integrations import sdpa_attention

    for capability, spared in (((7, 5), True), ((8, 0), False)):
        stock = sdpa_attention.use_gqa_in_sdpa
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda capability=capability: capability)
        spare_the_math_kernel()
        assert (sdpa_attention.use_gqa_in_sdpa is not stock) == spared
        monkeypatch.setattr(sdpa_attention, "use_gqa_in_sdpa", stock)
