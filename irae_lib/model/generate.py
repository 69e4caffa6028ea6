"""Generate answers to many cases by batched, greedy decoding, the same for base and tuned models.

Both are decoded and parsed by the same rules (`parse_answer`), so that a comparison reflects the model alone. By
default the grammar of `grammar.py` keeps every answer readable. Tokens that it forces are appended without a
forward pass of their own, and the shared prefix of all prompts is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from ..prompts import COMPACT, Prompt, messages
from ..schemas import Case
from .answer_cache import AnswerCache
from .answers import Answer, parse_answer
from .batching import Batches, fitting_rows, is_out_of_memory
from .grammar import Writer, confidences, vocabulary
from .prefix import Prefix, common_start, without_adapter


def stop_ids(tokenizer) -> list[int]:
    """The two stop tokens: Gemma ends a turn with <end_of_turn> and a document with <eos>."""
    return [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<end_of_turn>")]


def next_token_logits(model, tokenizer, case: Case, prompt) -> Any:
    """Logits (vocabulary,), float32, of the first answer token: a fingerprint for comparing two loaded models."""
    import torch

    ids = torch.tensor(prompt_ids(tokenizer, [case], prompt), device=model.device)
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1].float().cpu()


class FreeWriter:
    """The interface of `grammar.Writer` for unconstrained answers, which end at a stop token or with the budget."""

    def __init__(self, stops: Sequence[int], *, budget: int):
        self.stops, self.left, self.done = stops, budget, False

    def forced(self) -> list[int]:
        """Nothing is forced."""
        return []

    def allowed(self) -> None:
        """Everything is allowed."""

    def take(self, token: int) -> None:
        """Add a token to the answer."""
        self.left -= 1
        self.done = token in self.stops or self.left == 0


def answer_all(
    model,
    tokenizer,
    cases: Sequence[Case],
    *,
    prompt: Prompt = COMPACT,
    batch_size: int = 16,
    max_new_tokens: int = 512,
    label: str = "answers",
    constrained: bool = True,
    short: bool = False,
    fast: bool = True,
    choose: Callable | None = None,
    cache: AnswerCache | None = None,
) -> list[Answer]:
    """One `Answer` per case, in the order given. Greedy by default, so the same model gives the same answers.

    Args:
        batch_size: the maximum number of notes at a time; on a GPU, memory may allow fewer.
        label: the label of the progress bar; "" hides it.
        constrained: follow the grammar of an assessment: every answer is readable, and every quote occurs in its note.
            Without it, an answer cut off at `max_new_tokens` is unscored, with that reason.
        short: the five labels alone, without evidence and reasoning, for screening: about ten forward passes instead of
            a hundred. The labels may differ from those given after quoting the note.
        fast: read the common prefix of the prompts once, and several forced tokens per pass. Same answers either way.
        choose: how tokens are picked, see `decode`; `sampler` draws them.
        cache: saves the answers batch by batch; cached answers are not generated again.
    """
    prompts = prompt_ids(tokenizer, cases, prompt)
    stops = stop_ids(tokenizer)
    words = vocabulary(tokenizer, model.config.get_text_config().vocab_size, tuple(stops)) if constrained else None

    def writer(case: Case) -> Writer | FreeWriter:
        if constrained:
            return Writer(words, budget=max_new_tokens, note=case.text, short=short)
        return FreeWriter(stops, budget=max_new_tokens)

    if cache and choose and len(cache.known) < len(prompts):
        cache.known.clear()  # sampled answers cannot resume partway
    answers: dict[int, Answer] = dict(cache.known) if cache else {}
    left = {i: len(ids) + max_new_tokens for i, ids in enumerate(prompts) if i not in answers}
    shared = Prefix(model, common_start(prompts) if fast and left else [])
    batches = Batches(left, batch_size, fitting_rows(model, cache_bytes=shared.dtype.itemsize))
    quiet = {} if label else {"disable": True}
    with tqdm(total=len(prompts), initial=len(answers), desc=label, unit="case", **quiet) as bar:
        for rows in batches:
            asked, writers = [prompts[i] for i in rows], [writer(cases[i]) for i in rows]
            written = _unless_too_many(decode, model, asked, writers, shared, together=fast, choose=choose)
            if written is None:
                batches.too_many(rows)
                continue
            batch = {
                i: _constrained(tokenizer, words, one) if constrained else _free(tokenizer, one.ids, stops)
                for i, one in zip(rows, written, strict=True)
            }
            if cache:
                cache.add(batch)
            answers |= batch
            bar.update(len(rows))
    return [answers[i] for i in range(len(prompts))]


def _unless_too_many(work: Callable, *args: Any, **options: Any) -> Any:
    """The result of `work`; None if the device ran out of memory, after everything that `work` held is free again."""
    try:
        return work(*args, **options)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return None


def sampler(temperature: float, seed: int) -> Callable:
    """A `choose` function that samples at a temperature, reproducible for the same seed and batches."""
    import torch

    dice = torch.Generator().manual_seed(seed)

    def draw(logits):
        shares = (logits / temperature).softmax(-1).cpu()
        return torch.multinomial(shares, 1, generator=dice)[:, 0].to(logits.device)

    return draw


def prompt_ids(tokenizer, cases: Sequence[Case], prompt: Prompt = COMPACT) -> list[list[int]]:
    """The prompt tokens, one list per case, ending where the model's turn begins."""
    how = {"add_generation_prompt": True, "tokenize": False}
    texts = [tokenizer.apply_chat_template(messages(case, prompt), **how) for case in cases]
    # The template writes <bos>; a second <bos> would match no training example.
    return tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []


class Written:
    """A partial answer: its tokens, and the probabilities of those that the model chose.

    `chances` are (index in `ids`, probability among the allowed tokens). `legal_mass` is the mean probability that the
    model put on allowed tokens. Near 1 it follows the grammar on its own, near 0 it is forced.
    """

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.chances: list[tuple[int, float]] = []
        self._masses: list[float] = []

    @property
    def legal_mass(self) -> float:
        return sum(self._masses) / len(self._masses) if self._masses else 1.0

    def chosen(self, chance: float, mass: float) -> None:
        """Record the probability of the next token, chosen by the model; call before adding the token."""
        self.chances.append((len(self.ids), chance))
        self._masses.append(mass)


def decode(
    model,
    prompts: Sequence[Sequence[int]],
    writers: Sequence[Writer | FreeWriter],
    prefix: Prefix,
    *,
    together: bool = True,
    choose: Callable | None = None,
    passed: Callable[[int, int], None] = lambda rows, tokens: None,
) -> list[Written]:
    """Generate one answer per prompt.

    Args:
        prefix: the cached tokens that every prompt begins with.
        together: read forced tokens in one pass where every row has some; no row is padded in the middle.
        choose: picks tokens from allowed logits (rows, vocabulary); default: the most likely token.
        passed: called with the size of every forward pass, for counting.
    """
    import torch

    bare = without_adapter(model)
    widest = max(len(ids) for ids in prompts)
    padding = [widest - len(ids) for ids in prompts]
    cache = prefix.for_rows(padding)
    rows = list(range(len(prompts)))  # the prompt of each batch row; finished rows are removed
    mask = torch.tensor([[0] * p + [1] * (widest - p) for p in padding], device=model.device)
    padded = [[0] * p + list(ids) for p, ids in zip(padding, prompts, strict=True)]
    pending = [ids[prefix.length :] for ids in padded]
    written = [Written() for _ in prompts]
    for row, writer in enumerate(writers):
        _append(row, writer.forced(), writers, pending, written)
    with torch.inference_mode():
        length = min(map(len, pending))
        while rows:
            chunk = torch.tensor([pending[row][:length] for row in rows], device=model.device)
            hidden, mask = _forward(bare.model, cache, mask, chunk)
            passed(len(rows), length)
            for row in rows:
                pending[row] = pending[row][length:]
            asked = [i for i, row in enumerate(rows) if not pending[row]]
            if asked:
                # Project only the rows that choose a token: 262,144 words are much of the cost of a pass.
                logits = bare.lm_head(hidden[asked]).float()
                _choose(logits, [rows[i] for i in asked], writers, pending, written, choose)
            open_rows = [i for i, row in enumerate(rows) if not writers[row].done]
            if len(open_rows) < len(rows):
                rows, mask = [rows[i] for i in open_rows], mask[open_rows]
                if rows:
                    cache.batch_select_indices(torch.tensor(open_rows, device=model.device))
            length = min((len(pending[row]) for row in rows), default=0) if together else 1
    return written


def _forward(model, cache, mask, chunk):
    """One pass over the next tokens of every row: the last hidden states (rows, width) and the extended mask."""
    import torch

    length = chunk.shape[1]
    seen = cache.get_seq_length() + length
    if mask.shape[1] < seen:
        mask = torch.cat([mask, mask.new_ones((len(chunk), seen - mask.shape[1]))], dim=1)
    hidden = model(
        input_ids=chunk,
        attention_mask=mask[:, :seen],
        position_ids=(mask[:, :seen].cumsum(1) - 1).clamp(min=0)[:, -length:],
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state[:, -1]
    return hidden, mask


def _choose(logits, rows, writers, pending, written, choose) -> None:
    """Choose one token for each of `rows` from its logits."""
    import torch

    allowed = [writers[row].allowed() for row in rows]
    kept = logits
    if allowed[0] is not None:
        legal = torch.from_numpy(np.stack(allowed)).to(logits.device)
        kept = logits.masked_fill(~legal, float("-inf"))
    tokens = choose(kept) if choose else kept.argmax(-1)
    total = kept.logsumexp(-1)
    chances = (kept.gather(1, tokens[:, None])[:, 0] - total).exp().tolist()
    masses = (total - logits.logsumexp(-1)).exp().tolist()
    for row, token, chance, mass in zip(rows, tokens.tolist(), chances, masses, strict=True):
        written[row].chosen(chance, mass)
        _append(row, [token], writers, pending, written)


def _append(row: int, tokens: list[int], writers, pending, written) -> None:
    """Append chosen tokens, and the tokens that they force, to the answer and to the model's pending input."""
    writer = writers[row]
    while tokens and not writer.done:
        for token in tokens:
            writer.take(token)
        written[row].ids += tokens
        pending[row] += tokens
        tokens = [] if writer.done else writer.forced()


def _constrained(tokenizer, words, one: Written) -> Answer:
    answer = parse_answer(tokenizer.decode(one.ids, skip_special_tokens=False))
    fields, whole = confidences([words.decode_bytes([token]) for token in one.ids], one.chances)
    return answer.model_copy(
        update={
            "legal_mass": round(one.legal_mass, 4),
            "confidence": {name: round(chance, 6) for name, chance in fields.items()},
            "certainty": float(f"{whole:.4g}"),
        }
    )


def _free(tokenizer, ids: list[int], stops: Sequence[int]) -> Answer:
    text = tokenizer.decode([token for token in ids if token not in stops], skip_special_tokens=False)
    if ids[-1] not in stops:
        return Answer(text=text, unscored=f"cut off after {len(ids)} tokens")
    return parse_answer(text)
