"""Constrain generation, token by token, so that every answer parses as an `Assessment`.

The grammar is built from the pydantic schema, in the compact form used in training: no white space, keys in order,
every string and list bounded. Given the note, an evidence quote can only be a span of it, in whole words. llguidance
determines which tokens the grammar allows. A `Writer` tracks one answer and its token budget. When the budget runs
short, it closes strings and lists, so that an answer is never cut off.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence

import numpy as np

from ..schemas import FIELDS, MAX_QUOTE, Assessment, Likelihood, Severity, System, Urgency

# Tokens that finish an answer from any point once strings and lists are closed as soon as possible: what remains is
# the keys, four labels and a few brackets. Spelled in single characters these would take about 250.
RESERVE = 96
# A quote ends at the end of a piece of the note. Spelled byte by byte, a piece takes at most this many more tokens.
_PIECE = 16  # characters
_PIECE_TOKENS = 4 * _PIECE
_PIECES = re.compile(rf"\\u[0-9a-fA-F]{{4}}|\\.|\w{{1,{_PIECE}}}|[^\w\\]")


def assessment_grammar(note: str | None = None, *, short: bool = False) -> str:
    """The grammar of an answer in llguidance's Lark format, with the bounds of the schema.

    `note` is the text that evidence is quoted from, word for word; None allows any text as evidence. `short` leaves
    evidence, reasoning and actions empty, so that only the five labels remain.
    """
    grammar, quote = _grammar(short), f"/{_characters(1, MAX_QUOTE)}/"
    if short:
        return grammar
    if note is None:
        return f'{grammar}\nevidence_item: "\\"" {quote} "\\""'
    # JSON-escaped like the answer: a line break of the note is backslash and n.
    pieces = _PIECES.findall(json.dumps(note, ensure_ascii=False)[1:-1])
    stretch = f"%regex {json.dumps({'substring_chunks': pieces})}"
    return f'{grammar}\nevidence_item: "\\"" SPAN "\\""\nSPAN: STRETCH & {quote}\nSTRETCH: {stretch}'


@functools.cache
def _grammar(short: bool) -> str:
    """The grammar without the rule for one evidence quote.

    Strings allow any character except control characters, with the short escapes of JSON (a `\\u` escape could be half
    of a surrogate pair, which parsers reject). Organ systems follow the schema's order, so none occurs twice.
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
    """A tokenizer in llguidance's form (cached, because building it takes three seconds at Gemma's size).

    `vocab_size` is the model's, which may be larger than the tokenizer's; `stops` are all stop tokens.
    """
    import llguidance.hf

    return llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocab_size, eos_token=list(stops))


@functools.lru_cache(maxsize=4)
def _single_characters(words) -> np.ndarray:
    """Mask of the tokens of at most one character, as booleans (vocabulary,)."""
    pieces = (words.decode_bytes([token]) for token in range(words.vocab_size))
    return np.array([len(piece) == 1 or len(piece.decode(errors="ignore")) == 1 for piece in pieces])


class Writer:
    """The state of one answer: the tokens forced next, the tokens allowed next, and whether it is complete."""

    def __init__(self, words, *, budget: int, note: str | None = None, short: bool = False):
        """`words` is a `vocabulary`; `budget` is the maximum number of answer tokens, at least twice `RESERVE`.

        `note` is the text that evidence must be quoted from. `short` answers with the five labels alone.

        Raises:
            ValueError: the budget is too small for an answer.
        """
        from llguidance import LLMatcher, LLParserLimits

        if budget < 2 * RESERVE:
            raise ValueError(f"an answer needs a budget of {2 * RESERVE} tokens or more, not {budget}")
        self.left = budget
        self.done = False
        self._size = words.vocab_size
        # A long note needs more fuel than the default, and error messages must not contain it.
        limits = LLParserLimits(step_lexer_fuel=5_000_000, verbose_errors=False)
        self._matcher = LLMatcher(words, assessment_grammar(note, short=short), limits=limits)
        self._words = words
        self._quote, self._bracket, self._brace = (words.tokenize_str(mark)[0] for mark in '"]}')
        self._in_string, self._escaped, self._quoting = False, False, note is not None

    def forced(self) -> list[int]:
        """Tokens that must come next whatever the model predicts: keys and brackets, as the tokenizer splits them."""
        return self._matcher.compute_ff_tokens()

    def allowed(self) -> np.ndarray:
        """Mask of the tokens that may come next, as booleans (vocabulary,)."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        mask = np.unpackbits(bits, bitorder="little")[: self._size].astype(bool)
        mid_quote = self._quoting and self._in_string
        if self.left <= RESERVE + _PIECE_TOKENS * mid_quote:
            closing = self._closing(mask)
            if closing is not None:
                mask[:] = False
                mask[closing] = True
            elif mid_quote:
                # Finish this piece in the shortest steps: a longer token could end inside the next piece.
                mask &= _single_characters(self._words)
        return mask

    def _closing(self, mask: np.ndarray) -> int | None:
        """The allowed token that closes a string or list, if any; inside a string a bracket is a plain character."""
        ends = (self._quote,) if self._in_string else (self._bracket, self._quote, self._brace)
        return next((token for token in ends if mask[token]), None)

    def take(self, token: int) -> None:
        """Add a token to the answer.

        Raises:
            ValueError: the token was not allowed.
        """
        if not self._matcher.consume_token(token):
            raise ValueError(f"token {token} is not allowed here: {self._matcher.get_error()}")
        self._follow(self._words.decode_bytes([token]))
        self.left -= 1
        self.done = self._matcher.is_accepting() or self._matcher.is_stopped()

    def _follow(self, text: bytes) -> None:
        """Track whether a string is open, and whether the evidence, the first list, is still open."""
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
    """The model's probability of each scored field, and of reasoning and labels together.

    The labels alone are uninformative: the reasoning determines them ("CTCAE Grade 3"), and they follow from it with a
    probability near 1.

    Args:
        pieces: the text of an answer that follows the grammar, token by token. Without reasoning, only labels count.
        chances: (index in `pieces`, probability among the allowed tokens) of each token that the model chose.

    Returns:
        Products of the probabilities of the tokens that spell a value, closing quote included. A token that straddles
        the border counts; a value of only forced tokens has probability 1. A field is conditional on the text before.
    """
    ends = [0, *np.cumsum([len(piece) for piece in pieces])]
    text = b"".join(pieces)

    def together(start: int, stop: int) -> float:
        return float(np.prod([chance for place, chance in chances if ends[place + 1] > start and ends[place] < stop]))

    # Quotes inside a string are escaped, so these keys can occur nowhere else.
    starts = {name: text.index(key) + len(key) for name, key in _KEYS.items()}
    borders = {"affected_systems": b"]", "likelihood": b"}"}
    stops = {name: text.index(borders.get(name, b","), start) for name, start in starts.items()}
    began = text.index(_REASONING) + len(_REASONING) if _REASONING in text else min(starts.values())
    return {name: together(starts[name], stops[name]) for name in FIELDS}, together(began, stops["likelihood"])
