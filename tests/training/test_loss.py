"""The loss is the right one, and stays small: TRL's trainer beside a plain loop, and no logits of a whole row."""

import weakref
from dataclasses import replace

import pytest
import torch
from labels import PROFILE, ROWS
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from irae_lib.model.adapters import lora_config
from irae_lib.model.base import load_base, load_tokenizer
from irae_lib.training.callbacks import loss_curve
from irae_lib.training.rows import dataset
from irae_lib.training.trainer import ResumableTrainer, prepare, sft_config
from irae_lib.workspace.profiles import REHEARSAL_BASE

pytestmark = pytest.mark.filterwarnings("ignore")
RATE, EPOCHS = 1e-3, 3


class Allocated(TorchDispatchMode):
    """Counts the bytes of tensors made in its block; `peak` is the most that lived at a time."""

    def __init__(self):
        super().__init__()
        self.live = self.peak = 0
        self.known = weakref.WeakKeyDictionary()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        given = {id(t.untyped_storage()) for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        for tensor in tree_leaves(result):
            if not isinstance(tensor, torch.Tensor):
                continue
            storage = tensor.untyped_storage()
            if storage not in self.known and id(storage) not in given:
                self.known[storage] = size = storage.nbytes()
                self.live += size
                self.peak = max(self.peak, self.live)
                weakref.finalize(storage, self._gone, size)
        return result

    def _gone(self, size):
        self.live -= size


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(REHEARSAL_BASE)


def make_trainer(tokenizer, folder, model, **changes):
    profile = replace(PROFILE, batch_size=2, at_once=1, **changes)
    return ResumableTrainer(
        model=model,
        args=sft_config(profile, folder, epochs=EPOCHS, learning_rate=RATE, max_length=768, seed=3),
        train_dataset=dataset(ROWS),
        processing_class=tokenizer,
        peft_config=lora_config(dropout=0.0),
    )


def plain_loop(tokenizer, order):
    """Losses of the same updates by nothing but PyTorch and PEFT: no trainer, no fused head, no accumulation."""
    from peft import get_peft_model
    from transformers import set_seed

    set_seed(3)
    model = get_peft_model(load_base(PROFILE), lora_config(dropout=0.0)).train()
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)
    losses = []
    for update, rows in enumerate(order):
        texts = [tokenizer.apply_chat_template(r["prompt"] + r["completion"], tokenize=False) for r in rows]
        asked = [tokenizer.apply_chat_template(r["prompt"], tokenize=False, add_generation_prompt=True) for r in rows]
        summed, scored = 0.0, 0
        for text, question in zip(texts, asked, strict=True):
            ids = torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"])[None]
            start = len(tokenizer(question, add_special_tokens=False)["input_ids"])
            logits = model(input_ids=ids).logits[0, start - 1 : -1].float()
            summed = summed + torch.nn.functional.cross_entropy(logits, ids[0, start:], reduction="sum")
            scored += ids.shape[1] - start
        (summed / scored).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        warmed = min(1.0, update / 1)  # 3 % of six updates is one: the first has rate 0
        for group in optimizer.param_groups:
            group["lr"] = RATE * (warmed if update < 1 else (len(order) - update) / (len(order) - 1))
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(summed / scored))
    return losses


def test_the_trainer_learns_what_a_plain_loop_learns(tokenizer, tmp_path, monkeypatch):
    from transformers import set_seed

    set_seed(3)
    trainer = make_trainer(tokenizer, tmp_path, load_base(PROFILE))
    prepare(trainer)
    seen = []
    collate = trainer.data_collator
    monkeypatch.setattr(
        trainer, "data_collator", lambda rows: seen.append([r["input_ids"] for r in rows]) or collate(rows)
    )
    trainer.train()
    known = {tuple(row["input_ids"]): given for row, given in zip(trainer.train_dataset, ROWS, strict=True)}
    order = [[known[tuple(ids)] for ids in batch] for batch in seen]
    assert len(order) == 2 * EPOCHS
    losses = [point["loss"] for point in loss_curve(trainer)]
    assert losses == pytest.approx(plain_loop(tokenizer, order), abs=2e-4)


def test_no_step_holds_the_logits_of_a_whole_row(tokenizer, tmp_path):
    """At Gemma's vocabulary they would be 4 bytes x 262,144 a token; TRL's fused head has to survive PEFT and us."""
    from transformers import Gemma3ForCausalLM

    text = load_base(PROFILE).config.get_text_config()
    text.vocab_size, text.pad_token_id = 262_144, 0
    trainer = make_trainer(tokenizer, tmp_path, Gemma3ForCausalLM(text))
    prepare(trainer)
    short = trainer.data_collator([trainer.train_dataset[0]])
    note = short["input_ids"][:, :500].repeat(1, 2)  # a note of usual length before the answer
    start = {"input_ids": note, "labels": torch.full_like(note, -100), "attention_mask": torch.ones_like(note)}
    row = {name: torch.cat([start[name], short[name]], dim=1) for name in start}
    with Allocated() as made:
        loss = trainer.training_step(trainer.model, row, num_items_in_batch=torch.tensor(100))
    whole = row["input_ids"].numel() * 262_144 * 4
    assert torch.isfinite(loss)
    assert 0.01 * whole < made.peak < whole / 4, f"{made.peak / whole:.2f} of the whole logits"
    with Allocated() as made:
        trainer.model(input_ids=short["input_ids"], labels=short["labels"]).loss.backward()
    assert made.peak > short["input_ids"].numel() * 262_144 * 4, "the stock loss holds them: the meter sees it"
