"""The grammar of an answer: token by token, what may follow so that the whole can be read as an `Assessment`.

Built from the pydantic schema, in the compact form that training teaches: no white space, keys in order, every string
and list bounded. Given the note, an evidence quote can only be a stretch of it, in whole words. llguidance says which
tokens keep an answer inside it. A `Writer` follows one answer and also keeps to a budget of tokens: when that runs
short, strings and lists are closed, so that an answer is never cut off.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence

import numpy as np

from ..schemas import FIELDS, MAX_QUOTE, Assessment, Likelihood, Severity, System, Urgency

# Tokens that finish an answer from any point once strings and lists are closed at the first occasion: what remains is
# the keys, four labels and a handful of brackets. Written out by single characters it would be about 250.
RESERVE = 96
# A quote ends where a piece of the note does. Written byte by byte a piece takes at most so many tokens more.
_PIECE = 16  # characters
_PIECE_TOKENS = 4 * _PIECE
_PIECES = re.compile(rf"\\u[0-9a-fA-F]{{4}}|\\.|\w{{1,{_PIECE}}}|[^\w\\]")


def assessment_grammar(note: str | None = None, *, short: bool = False) -> str:
    """The answer as a Lark grammar for llguidance, with the bounds of the schema.

    `note` is the text that evidence is quoted from, word for word; None allows any text as evidence. `short` leaves
    evidence, reasoning and actions empty: the five labels and nothing else.
    """
    grammar, quote = _grammar(short), f"/{_characters(1, MAX_QUOTE)}/"
    if short:
        return grammar
    if note is None:
        return f'{grammar}\nevidence_item: "\\"" {quote} "\\""'
    # As the answer is written: a line break of the note is backslash and n.
    pieces = _PIECES.findall(json.dumps(note, ensure_ascii=False)[1:-1])
    stretch = f"%regex {json.dumps({'substring_chunks': pieces})}"
    return f'{grammar}\nevidence_item: "\\"" SPAN "\\""\nSPAN: STRETCH & {quote}\nSTRETCH: {stretch}'


@functools.cache
def _grammar(short: bool) -> str:
    """The grammar but for the rule of one evidence quote.

    Strings hold any character but control characters, with the short escapes of JSON (a `\\u` escape could be half of a
    surrogate pair, which no reader takes). Organ systems come in the schema's order, so none comes twice.
    """
    fields = Assessment.model_json_schema()["properties"]
    choose = " | ".join
    lines = [
        'start: "{\\"evidence\\":" evidence ",\\"reasoning\\":" reasoning ",\\"irae_detected\\":" ("true" | "false") '
        '",\\"affected_systems\\":[" systems? "],\\"overall_severity\\":" severity ",\\"urgency\\":" urgency '
        '",\\"causality\\":{\\"likelihood\\":" likelihood "},\\"actions\\":" actions "}"',
    ]
    for name in ("evidence", "actions"):
        item, most = fields[name]["items"], fields[name]["maxItems"]
        if short:
            lines.append(f'{name}: "[]"')
            continue
        lines.append(f'{name}: "[" ({name}_item ("," {name}_item){{0,{most - 1}}})? "]"')
        if name == "actions":
            lines.append(f"{name}_item: {_text(item['minLength'], item['maxLength'])}")
    lines.append('reasoning: "\\"\\""' if short else f"reasoning: {_text(0, fields['reasoning']['maxLength'])}")
    for name, labels in (("severity", Severity), ("urgency", Urgency), ("likelihood", Likelihood)):
        lines.append(f"{name}: {choose(_literal(label) for label in labels)}")
    names = [_literal(system) for system in System]
    for i in range(len(names)):
        rest = choose(f"{names[j]} after_{j}" for j in range(i + 1, len(names)))
        lines.append(f'after_{i}: ("," ({rest}))?' if rest else f'after_{i}: ""')
    lines.append(f"systems: {choose(f'{name} after_{i}' for i, name in enumerate(names))}")
    return "\n".join(lines)


def _literal(label: str) -> str:
    return json.dumps(json.dumps(str(label)))


def _text(shortest: int, longest: int) -> str:
    return f'/"{_characters(shortest, longest)}"/'


def _characters(shortest: int, longest: int) -> str:
    return rf'([^"\\\x00-\x1f\x7f]|\\["\\\/bfnrt]){{{shortest},{longest}}}'


@functools.lru_cache(maxsize=4)
def vocabulary(tokenizer, vocab_size: int, stops: Sequence[int]):
    """llguidance's view of a tokenizer (three seconds at Gemma's size, so it is kept).

    `vocab_size` is the model's, which may be larger than the tokenizer's; `stops` are all ends of an answer.
    """
    import llguidance.hf

    return llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocab_size, eos_token=list(stops))


@functools.lru_cache(maxsize=4)
def _single_characters(words) -> np.ndarray:
    """Which tokens are one character or less, as booleans (vocabulary,)."""
    pieces = (words.decode_bytes([token]) for token in range(words.vocab_size))
    return np.array([len(piece) == 1 or len(piece.decode(errors="ignore")) == 1 for piece in pieces])


class Writer:
    """One answer being written: what is forced next, what is allowed next, and whether it is whole."""

    def __init__(self, words, *, budget: int, note: str | None = None, short: bool = False):
        """`words` is a `vocabulary`; `budget` the most tokens the answer may have, at least twice `RESERVE`.

        `note` is the text that evidence must be quoted from. `short` answers with the five labels alone.

        Raises:
            ValueError: a budget in which no answer fits.
        """
        from llguidance import LLMatcher, LLParserLimits

        if budget < 2 * RESERVE:
            raise ValueError(f"an answer needs a budget of {2 * RESERVE} tokens or more, not {budget}")
        self.left = budget
        self.done = False
        self._size = words.vocab_size
        # A long note takes more fuel than is usual, and messages must not hold it.
        limits = LLParserLimits(step_lexer_fuel=5_000_000, verbose_errors=False)
        self._matcher = LLMatcher(words, assessment_grammar(note, short=short), limits=limits)
        self._words = words
        self._quote, self._bracket, self._brace = (words.tokenize_str(mark)[0] for mark in '"]}')
        self._in_string, self._escaped, self._quoting = False, False, note is not None

    def forced(self) -> list[int]:
        """Tokens that must come next whatever a model says: keys and brackets, tokenized as the tokenizer would."""
        return self._matcher.compute_ff_tokens()

    def allowed(self) -> np.ndarray:
        """Which tokens may come next, as booleans (vocabulary,)."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        mask = np.unpackbits(bits, bitorder="little")[: self._size].astype(bool)
        mid_quote = self._quoting and self._in_string
        if self.left <= RESERVE + _PIECE_TOKENS * mid_quote:
            closing = self._closing(mask)
            if closing is not None:
                mask[:] = False
                mask[closing] = True
            elif mid_quote:
                # To the end of this piece by the shortest steps: a longer token could end inside the next one.
                mask &= _single_characters(self._words)
        return mask

    def _closing(self, mask: np.ndarray) -> int | None:
        """The token that closes what is open, where one may stand; inside a string a bracket is only a character."""
        ends = (self._quote,) if self._in_string else (self._bracket, self._quote, self._brace)
        return next((token for token in ends if mask[token]), None)

    def take(self, token: int) -> None:
        """Add a token to the answer.

        Raises:
            ValueError: the token was not allowed.
        """
        if not self._matcher.consume_token(token):
            raise ValueError(f"token {token} may not stand here: {self._matcher.get_error()}")
        self._follow(self._words.decode_bytes([token]))
        self.left -= 1
        self.done = self._matcher.is_accepting() or self._matcher.is_stopped()

    def _follow(self, text: bytes) -> None:
        """Keep track of whether a string is open, and whether the evidence, the first list, still is."""
        for character in text:
            if self._escaped:
                self._escaped = False
            elif character == _BACKSLASH:
                self._escaped = self._in_string
            elif character == _QUOTE:
                self._in_string = not self._in_string
            elif character == _BRACKET and not self._in_string:
                self._quoting = False


_KEYS = {name: f'"{name}":'.encode() for name in FIELDS} | {"likelihood": b'"causality":{"likelihood":'}
_REASONING = b'"reasoning":'
_BACKSLASH, _QUOTE, _BRACKET = b'\\"]'


def confidences(pieces: Sequence[bytes], chances: Sequence[tuple[int, float]]) -> tuple[dict[str, float], float]:
    """How probable the model found what it said: each scored field, and reasoning and labels together.

    The labels alone say little: they are settled in the reasoning ("CTCAE Grade 3") and follow from it with a
    probability near 1.

    Args:
        pieces: the text of an answer that follows the grammar, token by token; without a reasoning the labels are all.
        chances: (place among `pieces`, probability among the allowed tokens) of those that were the model's to choose.

    Returns:
        Products of the chances of the tokens that spell a value, the closing quote included: a token that straddles the
        border counts, a value whose every token was forced is certain. A field's is given all that was said before it.
    """
    ends = [0, *np.cumsum([len(piece) for piece in pieces])]
    text = b"".join(pieces)

    def together(start: int, stop: int) -> float:
        return float(np.prod([chance for place, chance in chances if ends[place + 1] > start and ends[place] < stop]))

    # In a string a quote is escaped, so these keys can stand nowhere else.
    starts = {name: text.index(key) + len(key) for name, key in _KEYS.items()}
    borders = {"affected_systems": b"]", "likelihood": b"}"}
    stops = {name: text.index(borders.get(name, b","), start) for name, start in starts.items()}
    began = text.index(_REASONING) + len(_REASONING) if _REASONING in text else min(starts.values())
    return {name: together(starts[name], stops[name]) for name in FIELDS}, together(began, stops["likelihood"])
