"""Small tests on the words around a token: lists, forms, relatives, values, times and questions."""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Iterable, Sequence

from .quantities import TIME_UNITS
from .tokens import Token

# A sentence, or a line break by itself; the full stop of "e.g." does not end a sentence.
SENTENCE = re.compile(r"(?:[^.!?\n]|[.!?](?=\S)|(?<=\be\.g)\.|(?<=\bi\.e)\.)+[.!?]?|\n")
PRESENT = r"today|now|current(?:ly)?|this morning|ongoing|still|at present"
LIST_GAP = re.compile(
    r"[\s,/()-]*(?:\b(?:and|or|nor|is|are|was|were|has|have|been|all|both|the|of|his|her|any|in|for|also|currently|"
    r"signs?|symptoms?|on|exam|antibod(?:y|ies)|toxin|pcr|titers?|serology|screen|tests?|markers?|values?|levels?|"
    r"results?|figures?|details|exposure|use|numbers?|count|status|swabs?|"
    r"cultures?|panel|work-?up|came|back|returned|today)\b[\s,/()-]*)*"
)
FORM_GAP = re.compile(r"\s*[:=?-]{1,2}\s*")
ANSWERED = re.compile(r"\s*(?:$|[.,;|\n)])")  # after "no" in "Jaundice: no."
LEADING_NO = re.compile(r"\?\s*$")  # "Rash? No": the answer to the question before it, not the start of a list
AGO = re.compile(r"\s+(?:ago|earlier|prior|back)\b")
ENDS = re.compile(  # after "rash denied": the cue refers back to the words before it
    r"[\s\"']*(?:$|[.,;:)|\n]|(?:by|on|at|in|with|but|and|to|today|this|so far|yesterday|currently|per|after|from)\b)"
)
LEADS = re.compile(r"(?:^|[.,;:\n(])\s*$")  # text before "negative rash"; not "C. difficile negative diarrhea"
_FAMILY_VERB = re.compile(
    r"\s?(?:'s|:|\(|(?:also |both )?"
    r"(?:has|had|have|with|died|suffer(?:s|ed)?|diagnosed|who|is|was|were|carries|went|became|got)\b)"
)
_PROFESSION = re.compile(r" (?:is|was) (?:also )?an? (?:[a-z]+ )?(?:nurse|doctor|medic|paramedic|pharmacist|gp)\b")
_IN_FAMILY = re.compile(r"\bin (?:his |her |an? |the |their |two |three |both )?$")
_THRESHOLD_BEFORE = re.compile(
    r"(?:over|above|below|under|than|exceed\w*|at least|reach\w*|[<>]=?|to|until|up to)\s*(?:an? |the )?$"
)
_THRESHOLD_AFTER = re.compile(r"[^.;,\n]{0,24}?\b(?:or|and) (?:more|greater|higher|above|less|lower|over|below)\b")
_SPAN = re.compile(
    r"\s+(?:about |approximately )?(?:(?:few|several|couple|\d+|an?|one|two|three|four|five|six|seven|eight|ten)"
    r"(?: |-)(?:of )?)?(?:hours?|days?|weeks?|months?)\b"
)
_TIMES = re.compile(r"\s*(?:times|x|episodes|(?:a|per) day|/ ?day|daily)\b")
_WHEN = re.compile(
    r"[^.;,\n]{0,30}?\b(?:today|tonight|this (?:morning|afternoon|evening|week)|yesterday|last night|since|"
    r"(?:for|over|x) (?:the (?:last|past) )?(?:\d+|an?|one|two|three|four|five|six|seven|several|a few) "
    r"(?:hours?|days?|weeks?)|(?:\d+|one|two|three|four|five) (?:hours?|days?|weeks?) ago)\b"
)
_DEFINITE = re.compile(  # the time of the event; not a duration worth reporting ("fever for 2 days")
    r"[^.;,\n]{0,30}?\b(?:today|this (?:morning|afternoon|evening)|yesterday|last night|overnight|"
    r"since (?:\d|c\d|cycle|dose|last|yester|(?:mon|tues|wednes|thurs|fri|satur|sun)(?:day)?\b|this)|for the (?:last|past)|"
    r"(?:\d+|an?|one|two|three|four|five|six|seven|several|a few) (?:hours?|days?|weeks?) ago)"
)
_NOW = re.compile(r"[^.;,()\n]{0,25}?\b(?:today|now|currently|at present|this morning)\b")
_NEW_SINCE = re.compile(
    r"[^.;,\n]{0,30}?(?:\b(?:weren't|wasn't|were not|was not|not) (?:there|seen|present|visible|on|in)\b[^.;,\n]{0,16}?\b(?:before|last|prior|previous|earlier)\b|"
    r"\bnew (?:since|compared|from the last)\b)"
)
_YEAR = re.compile(r"(?<![\d.,/-])20[0-4]\d(?![\d.,]\d|\d)|(?<=[/-])20[0-4]\d(?!\d)|(?<!\d)20[0-4]\d(?=-\d\d-)")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_IN_MONTH = re.compile(rf"\bin (?:(?:early|mid|late)[ -])?(?:{_MONTH},? )?$")
_RUNS_ON = re.compile(
    rf"(?:\b(?:since|from|started|start|began|begun|born|diagnosed|on|x|of|reg|no|id|room|bed|visit|dob)|[-–+/#:]) ?(?:(?:early|mid|late)[ -])?(?:{_MONTH},? ?)?$"
)
_DEFINITE_BEFORE = re.compile(r"\b(?:this (?:morning|afternoon)|yesterday|last night),? (?:[a-z]+ ){0,4}$")
_CONDITION = re.compile(r"\b(?:if|when|should|or|in case|more than)\b")
_NEGATIVE = re.compile(  # "No, I have not.", "None", "Denies"; not "No oxygen needed", "No, but on Monday"
    r"\s*(?:\[?\(?(?:patient|pt|caller)\)?\]?[: ]\s*)?"
    r"(?:(?:no|none|nope|never|nil|absent|negative|denies|denied|not really|not at all)"
    r"(?=\s*(?:$|[.;!\n|)]|,(?!\s*but\b)|\b(?:i|he|she|they|we|there|it|not|to)\b))|"
    r"(?:i|he|she|they) (?:have|has|do|does|did)(?: not|n't| n't)\b)"
)
_POSITIVE = re.compile(
    r"\s*(?:\[?\(?(?:patient|pt|caller)\)?\]?[: ]\s*)?(?:y\b|yes|yeah|yep|correct|i do|i have|positive|no,? but)"
)
_INTERROGATIVE = re.compile(r"\s*(?:any|do|does|did|have|has|are|is|was|were|had|can|could|how about|what about)\b")


def whole(patterns: Iterable[str]) -> str:
    """A pattern for any of these patterns, with no letter or digit before or after it."""
    return rf"(?<![a-z0-9])(?:{'|'.join(patterns)})(?![a-z0-9])"


def lies_in(offset: int, spans: list[tuple[int, int]]) -> bool:
    """Whether the offset is in one of the spans, which are sorted."""
    at = bisect.bisect_right(spans, (offset, len(spans) and spans[-1][1]))
    return any(start <= offset < end for start, end in spans[max(0, at - 3) : at])


def sentence_around(norm: str, start: int, end: int, reach: int, marks: Sequence[str]) -> tuple[int, int]:
    """The sentence around a span, limited to `reach` characters on each side."""
    lowest, highest = max(0, start - reach), min(len(norm), end + reach)
    firsts = [at + len(mark) for mark in marks if (at := norm.rfind(mark, lowest, start)) >= 0]
    lasts = [at for mark in marks if (at := norm.find(mark, end, highest)) >= 0]
    return max(firsts, default=lowest), min(lasts, default=highest)


def has_value(tokens: list[Token], i: int) -> bool:
    """Whether a laboratory name is followed by its number or flag."""
    if tokens[i].kind == "finding" or i + 1 == len(tokens):
        return False
    after = tokens[i + 1]
    return after.kind in ("number", "pair") or any(cue.startswith("flag_") for cue in after.cues)


def is_measured(norm: str, tokens: list[Token], i: int) -> bool:
    """Whether the note gives a value, a count or a time for the item at `i`. A threshold does not count."""
    number = _number_of(norm, tokens, i)
    return not is_threshold(norm, number) if number is not None else says_when(norm, tokens, i)


def has_count(norm: str, tokens: list[Token], i: int) -> bool:
    """Whether a finding has a count: "diarrhea five times a day"."""
    number = _number_of(norm, tokens, i) if tokens[i].kind == "finding" else None
    return number is not None and number.start > tokens[i].start and not is_threshold(norm, number)


def has_exact_value(norm: str, tokens: list[Token], i: int) -> bool:
    """Whether a laboratory name or vital sign has a number that is not a threshold."""
    number = _number_of(norm, tokens, i) if tokens[i].kind != "finding" else None
    return number is not None and number.start > tokens[i].start and not is_threshold(norm, number)


def _number_of(norm: str, tokens: list[Token], i: int) -> Token | None:
    """The number of the item at `i`: "ALT 640", "diarrhea 8 times a day", "8 watery stools"."""
    item = tokens[i]
    for token in tokens[i + 1 : i + 4]:
        if token.kind in ("end", "finding", "lab", "vital") or token.start - item.end > 25:
            break
        if token.kind in ("number", "pair") and (item.kind != "finding" or _counts(norm, token)):
            return token
    before = tokens[i - 1] if i else item
    near = before.kind == "number" and item.start - before.end < 16 and before.unit not in TIME_UNITS
    return before if near else None


def _counts(norm: str, number: Token) -> bool:
    """Whether the number is a count or an amount of a finding: "8 times a day", "2 L"."""
    return number.unit not in TIME_UNITS if number.unit else _TIMES.match(norm, number.end) is not None


def is_threshold(norm: str, number: Token) -> bool:
    if number.sign.strip("=~"):
        return True
    before = _THRESHOLD_BEFORE.search(norm, max(0, number.start - 18), number.start)
    return bool(before or number.detail or _THRESHOLD_AFTER.match(norm, number.end, number.end + 40))


def says_when(norm: str, tokens: list[Token], i: int) -> bool:
    """Whether a time follows the item at `i`: "seizure this morning", "rash for three days"."""
    match = _WHEN.match(norm, tokens[i].end, tokens[i].end + 60)
    return match is not None and not any(t.kind == "finding" and t.start < match.end() for t in tokens[i + 1 : i + 4])


def is_definite(norm: str, tokens: list[Token], i: int) -> bool:
    """Whether the item at `i` happened at a stated time: "seizure this morning", "yesterday she had a seizure"."""
    start, end = tokens[i].start, tokens[i].end
    match = _DEFINITE.match(norm, end, end + 60)
    if match is not None and not _CONDITION.search(norm, end, match.end()):
        return not any(t.kind == "finding" and t.start < match.end() for t in tokens[i + 1 : i + 4])
    return _DEFINITE_BEFORE.search(norm, max(0, start - 50), start) is not None


def is_new_since(norm: str, token: Token) -> bool:
    """Whether the words right after the item say that it is new."""
    return _NEW_SINCE.match(norm, token.end) is not None


def is_now(norm: str, token: Token) -> bool:
    """Whether the words right after the item say that it is present today."""
    return _NOW.match(norm, token.end) is not None


def is_year(token: Token) -> bool:
    """Whether a bare number is written like a year."""
    year = token.low
    return not (year is None or token.end - token.start != 4 or token.sign or not 1930 <= year <= 2100 or year % 1)


def is_past_year(norm: str, token: Token) -> bool:
    """Whether a bare number is a year before the newest year of the note: "in Feb 2023", "last seizure 2009".

    Years before 2011, when no checkpoint inhibitor existed, are past in any note.
    """
    if not is_year(token):
        return False
    year = token.low
    before = norm[max(0, token.start - 24) : token.start]
    return (year < 2011 or year < _newest_year(norm)) and not _RUNS_ON.search(before)


def start_of_date(norm: str, token: Token) -> int:
    """The start of a date that ends in the year at `token`: the "in" of "in March 2023"."""
    match = _IN_MONTH.search(norm, max(0, token.start - 16), token.start)
    return match.start() if match else token.start


@functools.lru_cache(maxsize=4)
def _newest_year(norm: str) -> int:
    return max((int(match.group()) for match in _YEAR.finditer(norm)), default=0)


def spans_a_time(norm: str, tokens: list[Token], i: int) -> bool:
    """Whether the cue covers a period: "a three-week history of", "in the past five days", "a history of 3 days of"."""
    before = tokens[i - 1].unit if i else ""
    return (before in TIME_UNITS and before != "years") or _SPAN.match(norm, tokens[i].end) is not None


def numbers_a_list(tokens: list[Token], i: int) -> bool:
    """Whether the closing bracket at `i` numbers a list item, as in "2)"."""
    return i > 0 and tokens[i - 1].kind == "number" and tokens[i - 1].end == tokens[i].start


def illness_of_relative(norm: str, tokens: list[Token], at: int) -> bool:
    """Whether it is a relative's illness rather than a relative's report ("daughter noticed", "per mother")."""
    token = tokens[at]
    words = norm[token.start : token.end]
    if "history" in words or words in ("fhx", "fh"):
        return True
    following = tokens[at + 1] if at + 1 < len(tokens) else None
    if following is not None and "informant" in following.cues and following.start - token.end < 25:
        return False
    if any("informant" in t.cues for t in tokens[max(0, at - 1) : at]):
        return False
    return bool(_FAMILY_VERB.match(norm, token.end)) and not _PROFESSION.match(norm, token.end)


def in_relative(norm: str, token: Token) -> bool:
    """Whether the relative follows the illness: "ptosis in his brother", "on her mother's side"."""
    side = norm.startswith((" side", "'s side"), token.end)
    return side or _IN_FAMILY.search(norm, max(0, token.start - 10), token.start) is not None


def question_status(norm: str, tokens: list[Token]) -> str:
    """negated for "Any rash? No.", hypothetical for a question without an answer, else ""."""
    end = tokens[-1].end
    if _NEGATIVE.match(norm, end):
        return "negated"
    asked = _INTERROGATIVE.match(norm, _sentence_start(norm, tokens))
    return "hypothetical" if asked and not _POSITIVE.match(norm, end) else ""


def _sentence_start(norm: str, tokens: list[Token]) -> int:
    """The start of the sentence: after the last mark before its first token."""
    first = tokens[0].start
    return max(norm.rfind(mark, 0, first) for mark in ".?!\n:") + 1
