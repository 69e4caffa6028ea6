"""Ask a model about many cases: one batched, greedy path for base and tuned alike.

Answers are parsed by the same rules whoever wrote them (`schemas.parse_answer`); the comparison between two
models is only worth something if nothing but the model differs.
"""

from __future__ import annotations

from collections.abc import Sequence

from tqdm.auto import tqdm

from .model import stop_ids
from .prompts import COMPACT, Prompt, messages
from .schemas import Answer, Case, parse_answer


def answer_all(
    model,
    tokenizer,
    cases: Sequence[Case],
    *,
    prompt: Prompt = COMPACT,
    batch_size: int = 16,
    max_new_tokens: int = 512,
    label: str = "answers",
) -> list[Answer]:
    """One `Answer` per case, in the order given; greedy, so the same model gives the same answers.

    Cases of similar length share a batch (left-padded). An answer cut off at `max_new_tokens` is unscored,
    and says that it was cut.
    """
    import torch

    texts = [
        tokenizer.apply_chat_template(messages(case, prompt), add_generation_prompt=True, tokenize=False)
        for case in cases
    ]
    # The template has written <bos>; a second one would be a prompt no training example had.
    lengths = [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []
    order = sorted(range(len(texts)), key=lengths.__getitem__)
    stops = stop_ids(tokenizer)
    answers: dict[int, Answer] = {}
    with tqdm(total=len(texts), desc=label, unit="case") as bar:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = tokenizer([texts[i] for i in rows], add_special_tokens=False, padding=True, return_tensors="pt").to(
                model.device
            )
            with torch.inference_mode():
                out = model.generate(
                    **batch,
                    max_new_tokens=max_new_tokens,
                    do_sample=False,
                    top_k=None,
                    top_p=None,
                    eos_token_id=stops,
                    pad_token_id=tokenizer.pad_token_id,
                )
            for i, ids in zip(rows, out[:, batch["input_ids"].shape[1] :].tolist(), strict=True):
                answers[i] = _answer(tokenizer, ids, stops)
            bar.update(len(rows))
    return [answers[i] for i in range(len(texts))]


def _answer(tokenizer, ids: list[int], stops: list[int]) -> Answer:
    end = next((i for i, token in enumerate(ids) if token in stops), None)
    text = tokenizer.decode(ids[:end], skip_special_tokens=False)
    if end is None:
        return Answer(text=text, unscored=f"cut off after {len(ids)} tokens")
    return parse_answer(text)
