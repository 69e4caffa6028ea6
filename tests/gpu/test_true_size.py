"""MedGemma's true size with random weights under a T4's memory: peak, speed, finite loss. Skipped without CUDA.

    python -m pytest tests/gpu -s

Weights say nothing here, shapes and dtypes do: 34 layers of 2,560, 262,208 tokens, NF4 with double quantisation,
float16 matrix products (bfloat16 forbidden), LoRA of rank 16 in float32, checkpointing, paged 8-bit AdamW. Beside
it the recipe of the description this project started from: float16 throughout, bare module names, whole logits.
`IRAE_GPU_OUT` names a folder for the numbers as JSON. One test runs the same code on a toy configuration on the
CPU, so that it does not rot where there is no GPU.
"""

import json
import os
import time
from pathlib import Path

import pytest
import torch

from irae_lib.model.adapters import LORA_TARGETS
from irae_lib.model.base import keep_residual_in_float32
from irae_lib.training.memory import GIB, estimate_memory
from irae_lib.workspace.profiles import _PROFILES

T4_BYTES = 14.7 * GIB
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore")]


def config(**small):
    from transformers import Gemma3TextConfig

    true_size = {
        "vocab_size": 262_208,
        "num_hidden_layers": 34,
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
    }
    return Gemma3TextConfig(**true_size | small)


def quantised_model(settings, device, residual_scale=0.0):
    """A Gemma 3 text model of random weights with NF4 linear layers; built layer by layer, never whole in 32 bits."""
    import bitsandbytes as bnb
    from transformers import Gemma3ForCausalLM

    with torch.device("meta"):
        model = Gemma3ForCausalLM(settings)
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            new = bnb.nn.Linear4bit(
                module.in_features, module.out_features, bias=False, compute_dtype=torch.float16, quant_type="nf4"
            )
            weight = torch.randn(module.out_features, module.in_features, dtype=torch.float16) * 0.02
            new.weight = bnb.nn.Params4bit(weight, requires_grad=False, quant_type="nf4", compress_statistics=True)
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, new.to(device))
        elif isinstance(module, torch.nn.Embedding):
            module.weight = torch.nn.Parameter(torch.randn(module.weight.shape, device=device) * 0.02, False)
        elif type(module).__name__ == "Gemma3RMSNorm":
            fill = residual_scale if "post_" in name and residual_scale else 0.0
            module.weight = torch.nn.Parameter(torch.full(module.weight.shape, fill, device=device), False)
    model.lm_head.weight = model.model.embed_tokens.weight
    model.model.rotary_emb = type(model.model.rotary_emb)(settings).to(device)
    for module in model.modules():  # buffers of the embedding (its scale) were left on meta
        for key, buffer in list(module._buffers.items()):
            if buffer is not None and buffer.is_meta:
                module._buffers[key] = torch.tensor(settings.hidden_size**0.5, device=device)
    return model


def float16_model(settings, device, residual_scale=0.0):
    """The same model as the project's origin loads it: every weight in float16, norms that return what they get."""
    from transformers import Gemma3ForCausalLM

    torch.set_default_dtype(torch.float16)
    try:
        with torch.device(device):
            model = Gemma3ForCausalLM(settings)
    finally:
        torch.set_default_dtype(torch.float32)
    for name, module in model.named_modules():
        if residual_scale and type(module).__name__ == "Gemma3RMSNorm" and "post_" in name:
            module.weight.data.fill_(residual_scale)
    return model


def fused_loss(model, ids):
    """Loss of the last quarter (the answer) in tiles, recomputed in the backward pass, as TRL's fused head does."""
    length = ids.shape[1]
    inner, head = model.get_base_model().model, model.get_base_model().lm_head
    hidden = inner(input_ids=ids).last_hidden_state[:, -length // 4 : -1]
    tiles = zip(hidden.split(256, 1), ids[:, -length // 4 + 1 :].split(256, 1), strict=True)
    return (
        sum(torch.utils.checkpoint.checkpoint(_tile, head, h, t, use_reentrant=False) for h, t in tiles)
        / (hidden.shape[1])
    )


def whole_loss(model, ids):
    """transformers' own loss: logits of every position over the whole vocabulary, in float32."""
    return model(input_ids=ids, labels=ids).loss


OURS = (quantised_model, LORA_TARGETS, fused_loss)
# The description this project started from: float16 load and autocast, bare module names, the stock loss.
ORIGINAL = (float16_model, ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], whole_loss)


def train_some(settings, *, length, device, steps=3, residual_scale=0.0, recipe=OURS):
    """Three updates at `length` tokens; losses, peak bytes and tokens a second."""
    from peft import LoraConfig, get_peft_model

    build, targets, loss_of = recipe
    model = build(settings, device, residual_scale)
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules=targets))
    for p in model.parameters():
        if p.requires_grad:
            p.data = p.data.float()
    model.enable_input_require_grads()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    trained = [p for p in model.parameters() if p.requires_grad]
    cuda = device != "cpu"
    if cuda:
        import bitsandbytes as bnb

        optimizer = bnb.optim.PagedAdamW8bit(trained, lr=2e-4)
        torch.cuda.reset_peak_memory_stats()
    else:
        optimizer = torch.optim.AdamW(trained, lr=2e-4)
    scaler = torch.amp.GradScaler("cuda", enabled=cuda)
    ids = torch.randint(10, settings.vocab_size, (1, length), device=device)
    losses, began = [], 0.0
    for step in range(steps):
        if step == 1:
            began = time.monotonic()
        with torch.autocast("cuda" if cuda else "cpu", torch.float16):
            loss = loss_of(model, ids)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    seconds = time.monotonic() - began
    peak = torch.cuda.max_memory_reserved() if cuda else 0
    return {"losses": losses, "peak_bytes": peak, "tokens_per_second": length * (steps - 1) / seconds}


def _tile(head, hidden, targets):
    logits = head(hidden).float()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")


@pytest.fixture()
def policy(monkeypatch):
    from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm

    monkeypatch.setattr(Gemma3RMSNorm, "forward", Gemma3RMSNorm.forward)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *args, **kwargs: False)
    return keep_residual_in_float32


def written(name: str, numbers: dict) -> None:
    device = torch.cuda.get_device_name()
    print(name, device, numbers)
    if folder := os.environ.get("IRAE_GPU_OUT"):
        Path(folder, f"{name}.json").write_text(json.dumps({"device": device} | numbers, indent=1) + "\n")


@needs_cuda
@pytest.mark.parametrize("length", [1024, 1536, 2048])
def test_true_size_fits_a_t4_and_the_estimate_is_near(policy, length):
    policy()
    torch.cuda.set_per_process_memory_fraction(T4_BYTES / torch.cuda.get_device_properties(0).total_memory)
    seen = train_some(config(), length=length, device="cuda")
    estimate = estimate_memory(config(), _PROFILES["t4"], length=length, vision=0).total
    written(f"true_size_{length}", seen | {"estimate_bytes": estimate})
    assert all(loss == loss for loss in seen["losses"])
    assert seen["peak_bytes"] < 8 * GIB
    assert abs(seen["peak_bytes"] / estimate - 1) <= 0.2


@needs_cuda
@pytest.mark.parametrize("length", [1024, 1536, 2048])
def test_the_original_recipe_beside_it(policy, length):
    torch.cuda.set_per_process_memory_fraction(T4_BYTES / torch.cuda.get_device_properties(0).total_memory)
    torch.cuda.empty_cache()
    try:
        seen = train_some(config(), length=length, device="cuda", recipe=ORIGINAL)
    except torch.cuda.OutOfMemoryError:
        seen = {"out_of_memory": True, "peak_bytes": torch.cuda.max_memory_reserved()}
    written(f"original_recipe_{length}", seen)
    assert seen["peak_bytes"] > 8 * GIB


@needs_cuda
@pytest.mark.parametrize("with_policy", [True, False])
def test_a_residual_beyond_float16_needs_the_policy(policy, with_policy):
    if with_policy:
        policy()
    seen = train_some(config(num_hidden_layers=6), length=512, device="cuda", residual_scale=3e4)
    assert all(loss == loss for loss in seen["losses"]) == with_policy


@pytest.mark.parametrize(("recipe", "with_policy"), [(OURS, True), (OURS, False), (ORIGINAL, False)])
@pytest.mark.parametrize("residual_scale", [0.0, 3e4])
def test_the_same_code_on_a_toy_on_the_cpu(policy, recipe, with_policy, residual_scale):
    if with_policy:
        policy()
    toy = config(
        vocab_size=512,
        num_hidden_layers=3,
        hidden_size=64,
        intermediate_size=128,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
    )
    seen = train_some(toy, length=64, device="cpu", residual_scale=residual_scale, recipe=recipe)
    assert all(loss == loss for loss in seen["losses"]) == (with_policy or not residual_scale)
