"""Compare a server's answers with local greedy decoding, and name the cause of each difference.

A server that follows a JSON schema and the project's own grammar do not allow the same tokens: the grammar only lets
evidence be quoted from the note, word for word. So each of the server's answers is also replayed: one forward pass of
the local model over prompt and answer, and at each token the most likely token among those that the server's schema
allows. Where both agree throughout, local greedy decoding under that schema writes the same answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from irae_lib.cases import LabelledCase
from irae_lib.files import save_json
from irae_lib.model.generate import prompt_ids, stop_ids
from irae_lib.model.grammar import vocabulary
from irae_lib.model.loaded import LoadedModel
from irae_lib.schemas import Assessment, Case
from irae_lib.screening.constraint import FULL, SHORT
from irae_lib.workspace.profiles import choose_profile

BATCH = 8  # local answers at a time
TIE = 0.25  # nats: bfloat16 has 8 bits, so logits near 32 are multiples of 0.25


class Step(NamedTuple):
    """A token of an answer where the local model prefers another: its place, both texts, and by how many nats."""

    start: int  # bytes of the answer before it
    wrote: str
    preferred: str
    margin: float


class Comparison(NamedTuple):
    """A served answer next to the local one, both as compact JSON ("" without one), and the cause of a difference."""

    place: int
    served: str
    local: str
    cause: str
    steps: list[Step]


class Schema:
    """The tokens that a vLLM with the guidance backend and without white space allows for a JSON schema."""

    def __init__(self, words: Any, schema: Mapping[str, Any]):
        from llguidance import LLMatcher

        self._words, self._matcher = words, LLMatcher
        self._grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults={"whitespace_flexible": False})

    def masks(self, tokens: Sequence[int]) -> list[np.ndarray]:
        """For each token of an answer, what is allowed in its place, as booleans (vocabulary,).

        Raises:
            ValueError: the answer leaves the schema.
        """
        matcher, masks = self._matcher(self._words, self._grammar), []
        for place, token in enumerate(tokens):
            bits = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
            masks.append(np.unpackbits(bits, bitorder="little")[: self._words.vocab_size].astype(bool))
            if not masks[-1][token] or not matcher.consume_token(token):
                raise ValueError(f"token {place} of {len(tokens)} is not allowed by the schema")
        return masks


class Replay:
    """Replay answers with one arm of a loaded model."""

    def __init__(self, loaded: LoadedModel, arm: str):
        self.loaded, self.arm, self.tokenizer = loaded, arm, loaded.tokenizer
        size = loaded.model.config.get_text_config().vocab_size
        self.words = vocabulary(self.tokenizer, size, tuple(stop_ids(self.tokenizer)))

    def steps(self, case: Case, text: str, schema: Schema) -> list[Step]:
        """Every token of the answer `text` where the local model prefers another that the schema allows.

        The text is tokenized anew: a server may have spelled it with other tokens.
        """
        import torch

        prompt = prompt_ids(self.tokenizer, [case])[0]
        answer = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        masks = schema.masks(answer)
        with torch.inference_mode(), self.loaded.using(self.arm) as model:
            ids = torch.tensor([[*prompt, *answer]], device=model.device)
            logits = model(input_ids=ids, logits_to_keep=len(answer) + 1).logits[0, :-1].float()
        pieces = [self.words.decode_bytes([token]) for token in answer]
        starts, steps = np.cumsum([0, *map(len, pieces)]), []
        for place, (token, mask) in enumerate(zip(answer, masks, strict=True)):
            kept = logits[place].masked_fill(~torch.from_numpy(mask), float("-inf"))
            best = int(kept.argmax())
            if best != token:
                spelled = (pieces[place], self.words.decode_bytes([best]))
                wrote, preferred = (piece.decode(errors="replace") for piece in spelled)
                steps.append(Step(int(starts[place]), wrote, preferred, float(kept[best] - kept[token])))
        return steps


def first_difference(a: str, b: str) -> int:
    """Bytes that two texts have in common at their start."""
    pairs = zip(a.encode(), b.encode(), strict=False)
    return next((place for place, (x, y) in enumerate(pairs) if x != y), min(len(a.encode()), len(b.encode())))


def cause(served: str, local: str, steps: Sequence[Step]) -> str:
    """Why a served answer differs from the local one: "same", or a name of what separates them.

    Args:
        served, local: the compact JSON of both answers. steps: the replay of `served`.
    """
    if served == local:
        return "same"
    parting = first_difference(served, local)
    before = [step for step in steps if step.start <= parting]
    if not before:
        return "grammar: the server's schema and the local grammar allow different tokens"
    steps = [step for step in before if not respelled(step, served)]
    if not steps:
        return "spelling: the same text in other tokens"
    return "near tie" if steps[0].margin <= TIE else "unexplained"


def respelled(step: Step, text: str) -> bool:
    """Whether the preferred token spells the same text that the answer has there, only in longer or shorter tokens."""
    return text.encode()[step.start :].startswith(step.preferred.encode())


def labels(answer: Assessment) -> str:
    """The five labels of an answer as the short question writes them."""
    data = answer.model_dump(mode="json")
    return json.dumps({name: data[name] for name in SHORT["properties"]}, ensure_ascii=False, separators=(",", ":"))


class Local:
    """The same notes answered, and the server's answers replayed, by the model in this process; saved as they come."""

    def __init__(self, out: Path, cases: Sequence[LabelledCase], adapter: Path):
        self.cases = cases
        self.loaded = LoadedModel(choose_profile("gemma"), {"irae": adapter})
        self.replay = Replay(self.loaded, "irae")
        self.path = out / "local.json"
        self.known = json.loads(self.path.read_text(encoding="utf-8")) if self.path.is_file() else {}

    def answers(self, cases: Sequence[LabelledCase], *, short: bool = False) -> list[Assessment]:
        """Answers of the project's own greedy decoding."""
        kind = "short" if short else "full"
        left = [case.case for case in cases if f"{kind} {case.case.id}" not in self.known]
        for start in range(0, len(left), BATCH):
            some = left[start : start + BATCH]
            for case, answer in zip(some, self.loaded.answer(some, "irae", short=short), strict=True):
                self.known[f"{kind} {case.id}"] = answer.text
            self._save(f"local {kind} answers", start + len(some), len(left))
        return [Assessment.model_validate_json(self.known[f"{kind} {case.case.id}"]) for case in cases]

    def steps(self, place: int, text: str, schema: Schema) -> list[Step]:
        """The replay of a served answer."""
        key = f"replay {place} {text}"
        if key not in self.known:
            self.known[key] = self.replay.steps(self.cases[place].case, text, schema)
            self._save("replays", sum(key.startswith("replay") for key in self.known), 0)
        return [Step(*step) for step in self.known[key]]

    def _save(self, what: str, done: int, of: int) -> None:
        save_json(self.path, self.known)
        print(f"\r{what}: {done}{f' of {of}' if of else ''}   ", end="" if done != of else "\n", flush=True)

    def compared(self, served: Mapping[int, str], *, short: bool) -> list[Comparison]:
        """Compare the server's answers (by place, as compact JSON) with local decoding."""
        schema = Schema(self.replay.words, SHORT if short else FULL)
        local = self.answers([self.cases[place] for place in served], short=short)
        result = []
        for (place, text), answer in zip(served.items(), local, strict=True):
            own, steps = labels(answer) if short else answer.to_json(), self.steps(place, text, schema)
            result.append(Comparison(place, text, own, cause(text, own, steps), steps))
        return result
