"""Train the rehearsal base from random weights on two CPU cores: a Gemma 3 of 1.3 million parameters.

Under the pipeline's prompt, it learns the noisy labels of `flawed`, which imitate how the real base fails; under the
`TEXTBOOK` prompt, it learns correct ones. Like the real base, it knows more than the plain prompt elicits, so
fine-tuning has real knowledge to bring out.
"""

from __future__ import annotations

import functools
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from .. import prompts
from ..cases import validated_cases
from ..errors import RunError
from ..files import file_sha256, replace_folder, save_json
from ..synthesis.illnesses import KINDS, POOLS
from ..synthesis.splits import mixed_cases
from .noisy_labels import flawed, recased
from .tiny_gemma import make_model, make_tokenizer

_WORD = re.compile(r"[\w%/+-]*\w[.,;:]?")
# Case mix of the base: more notes without a (documented) ICI than in any split. Treatment is harder to learn from a
# sentence than the illness, and appears in fewer words of the answer.
_DIET = KINDS["rehearsal base"]
TEXTBOOK = prompts.Prompt(version="textbook-1", instructions="What does the textbook say?")
# Rows per batch of 32, by pool of phrasings and prompt; the rest are copying exercises. The textbook excludes the test
# pool: evaluated phrasings come with noisy labels only.
_ROWS = {
    ("train", TEXTBOOK): 10,
    ("calibration", TEXTBOOK): 4,
    ("train", prompts.COMPACT): 3,
    ("calibration", prompts.COMPACT): 1,
    ("test", prompts.COMPACT): 10,
}


@functools.cache
def corpus(seed: int) -> tuple[str, ...]:
    """Text that supplies the vocabulary: synthetic notes and answers of all pools, the prompts, the validated cases.

    Only the words of the validated cases are used, without their order: for the tokenizer and copying exercises.
    """
    rng = random.Random(seed)
    mixed = [case for pool in POOLS for case in mixed_cases(2000, pool=pool, seed=seed, prefix="words", detail="short")]
    cases = [recased(case, rng) for case in mixed] + validated_cases() * 5
    texts = [text for case in cases for text in (case.case.text, case.expected.to_json())]
    return (*texts, *[prompt.instructions for prompt in (*prompts.PROMPTS.values(), TEXTBOOK)] * 5)


def build_base(
    folder: Path, *, updates: int, seed: int, learning_rate: float = 3e-3, go_on_from: Path | None = None
) -> Path:
    """Train a base from random weights and write it to `folder` in MedGemma's file layout, with `training.json`.

    The folder appears under its name only when it is complete. Takes about 15 minutes on two cores for 1,000 updates.

    Args:
        go_on_from: an earlier base to train further, on other cases (give another seed) and at a new learning rate; its
            tokenizer is kept, and `training.json` lists its legs before the new one.
    Raises:
        RunError: the folder exists.
    """
    if folder.exists():
        raise RunError(f"{folder.name} exists already; give another folder for the new base, or remove this one")
    model, tokenizer, before = _start(seed, go_on_from)
    leg = {"updates": updates, "batch_size": 32, "learning_rate": learning_rate, "seed": seed}
    losses = enumerate(train_base(model, tokenizer, **leg), start=1)
    done = sum(leg["updates"] for leg in before["legs"])
    curve = [{"update": done + i, "loss": round(loss, 4)} for i, loss in losses if i % 10 == 0 or i == 1]
    with replace_folder(folder) as aside:
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        record = {
            "legs": [*before["legs"], leg],
            "parameters": sum(p.numel() for p in model.parameters()),
            "sha256": file_sha256(aside / "model.safetensors"),
            "curve": before["curve"] + curve,
        }
        save_json(aside / "training.json", record)
    return folder


def _start(seed: int, go_on_from: Path | None) -> tuple[Any, Any, dict[str, list]]:
    """Model, tokenizer and the record so far: from random weights, or from an earlier base."""
    if go_on_from is None:
        tokenizer = make_tokenizer(corpus(seed))
        return make_model(seed), tokenizer, {"legs": [], "curve": []}
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    record = json.loads((go_on_from / "training.json").read_text(encoding="utf-8"))
    tokenizer = AutoTokenizer.from_pretrained(go_on_from, padding_side="left")
    model = AutoModelForImageTextToText.from_pretrained(go_on_from, dtype="float32")
    return model, tokenizer, {"legs": record.get("legs", []), "curve": record["curve"]}


def encode(tokenizer, asked: list[dict], answer: list[dict]) -> tuple[list[int], int]:
    """Token ids of prompt and answer together, and the start position of the answer."""
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template(asked + answer, tokenize=False)
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    return ids + tokenizer(whole[len(prompt) :], add_special_tokens=False)["input_ids"], len(ids)


def repetition(rng: random.Random, lexicon: list[str]) -> tuple[list[dict], list[dict]]:
    """A copying exercise: random words to repeat. To quote, a model must have seen each word and be able to copy."""
    words = " ".join(rng.choices(lexicon, k=rng.randint(8, 40)))
    return [{"role": "user", "content": f"Repeat word for word:\n{words}"}], [{"role": "assistant", "content": words}]


def batches(tokenizer, *, updates: int, batch_size: int, seed: int) -> Iterator[list[tuple[list[int], int]]]:
    """Batches of fresh rows, grouped by length: cases under two prompts (`_ROWS`), and copying exercises.

    Cases come from all pools of phrasings, since MedGemma has also read medical English before fine-tuning.
    """
    rng = random.Random(seed)
    lexicon = sorted({word for text in corpus(seed) for word in _WORD.findall(text)})
    block = 16
    for number in range(-(-updates // block)):
        rows = []
        for (pool, prompt), share in _ROWS.items():
            how = {"seed": seed * 100_003 + number, "deal": seed * 1009 + number, "shares": _DIET, "detail": "short"}
            for case in mixed_cases(block * batch_size * share // 32, pool=pool, prefix=prompt.version, **how):
                read = recased(case if prompt is TEXTBOOK else flawed(case, rng), rng)
                rows.append(encode(tokenizer, prompts.messages(read.case, prompt), prompts.target(read.expected)))
        rows += [encode(tokenizer, *repetition(rng, lexicon)) for _ in range(block * batch_size - len(rows))]
        rows.sort(key=lambda row: len(row[0]))
        dealt = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
        rng.shuffle(dealt)
        yield from dealt[: updates - number * block]


def train_base(model, tokenizer, *, updates: int, batch_size: int, learning_rate: float, seed: int) -> list[float]:
    """Train in place on the answers only; returns the loss of every update (nats per answer token)."""
    import torch
    from torch.nn.functional import cross_entropy

    parameters = [p for name, p in model.named_parameters() if "language_model" in name]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=updates + 1, pct_start=0.06)
    model.train()
    losses = []
    dealt = batches(tokenizer, updates=updates, batch_size=batch_size, seed=seed)
    bar = tqdm(dealt, total=updates, desc="rehearsal base", unit="update", mininterval=1.0)
    for rows in bar:
        width = max(len(ids) for ids, _ in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        answer = torch.zeros(len(rows), width, dtype=torch.bool)
        for i, (row, start) in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            answer[i, start : len(row)] = True
        hidden = model.model(input_ids=ids, attention_mask=(ids != 0).long()).last_hidden_state
        scored = answer[:, 1:]
        # Compute logits only at answer positions: the vocabulary is half of the arithmetic of so small a model.
        loss = cross_entropy(model.lm_head(hidden[:, :-1][scored]), ids[:, 1:][scored])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
    return losses
