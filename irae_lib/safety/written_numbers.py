"""Convert numbers in words or groups, and other wording, to a plain form.

"fifty five percent" is "55 percent", "one thirty over eighty" is "130/80", "1'250" is "1250", "-ve" is "negative".
"""

from __future__ import annotations

import re

_WORDS = (
    "one two three four five six seven eight nine",
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
    "twenty thirty forty fifty sixty seventy eighty ninety",
)
_UNITS_BELOW_TEN, _TEENS, _TENS = (words.split() for words in _WORDS)
_VALUES = {word: i for i, word in enumerate(_UNITS_BELOW_TEN + _TEENS, 1)} | {
    word: 20 + 10 * i for i, word in enumerate(_TENS)
}
_DIGITS = _VALUES | {"zero": 0, "oh": 0, "a": 1}
_U, _TEEN, _TEN = ("|".join(words) for words in (_UNITS_BELOW_TEN, _TEENS, _TENS))
_TENS_UNITS = rf"(?:{_TEN})(?:[ -](?:{_U})\b)?"
_BELOW_100 = rf"(?:(?:{_TEN})(?:[ -](?:{_U})\b)?|{_TEEN}|{_U})"
_HUNDREDS = rf"(?:a|{_TEEN}|{_U})[ -]hundred(?:(?: and)?[ -]{_BELOW_100})?"
_THOUSANDS = rf"(?:a|{_HUNDREDS}|{_BELOW_100})[ -]thousand(?:(?: and)?[ -](?:{_HUNDREDS}|{_BELOW_100}))?"
_POINT = rf" point (?:(?:{_U}|zero|oh)(?:[ -](?=(?:{_U}|zero|oh)\b)|\b))+"
_ENZYME_OR_COUNT = r"\s?(?:/\s?(?:mm|ul|mcl|µl|μl|cmm)|cells|iu/l|u/l)"
_CONCENTRATION = r"\s?(?:iu/l|u/l|units/l|[nµμu]g/l|mcg/l|pg/ml|ng/ml|[nµμup]mol/l|/\s?(?:mm|ul|mcl|µl|μl|cmm)|cells)"
_HINTS = (*_TENS, "hundred", "thousand", " point ", " over ", " n't", " n’t", "**", "-ve", "−ve", "–ve", "+ve")
_GROUPED = re.compile(r"\d['’´ \u00a0\u2009\u202f.]\d{3}")
_BEGINS = r"(?=a[ -]|one|two|thr|fou|fiv|six|sev|eig|nin|ten|ele|twe|thi|for|fif|\d)"  # skips most words
WORDING = re.compile(
    rf"(?i:\b{_BEGINS}(?:(?P<spoken>(?:(?:one|two) )?{_TENS_UNITS}|{_HUNDREDS}|[6-9]\d|[12]\d\d) over "
    rf"(?P<under>{_TENS_UNITS}|[3-9]\d|1[0-3]\d)\b(?! (?:second|minute|hour|day|week|month|year))"
    rf"|(?P<words>{_THOUSANDS}|{_HUNDREDS}(?:{_POINT})?|{_TENS_UNITS}(?:{_POINT})?|(?:{_TEEN}|{_U}){_POINT})\b))"
    r"|(?<![\w.,/'’-])(?P<thousands>[1-9]\d{0,2}(?:['’´\u2009\u202f]\d{3})+(?![\d'’]|[.,]\d)"
    rf"|[1-9]\d{{0,2}}(?:\.\d{{3}})+(?=(?i:{_ENZYME_OR_COUNT}))|[1-9]\d{{0,2}}(?:\.\d{{3}}){{2,}}(?![\d.])"
    rf"|[1-9](?:[ \u00a0]\d{{3}}){{1,2}}(?=(?i:{_CONCENTRATION}))"
    rf"|[1-9]\d{{0,2}}(?:[ \u00a0]\d{{3}})*[ \u00a0]000(?=(?i:{_CONCENTRATION}))"
    rf"|[1-9]\d{{0,2}}[ \u00a0]\d{{3}}(?=(?i:\s?(?:/\s?(?:mm|ul|mcl|µl|μl|cmm)|cells))))"
    r"|(?P<space> )(?=n['’]t\b)|(?<!\w)(?P<sign>[-−–+])ve\b"
    r"|(?P<bold>(?<![\d*])\*\*(?=[A-Za-z])|(?<=[A-Za-z:.)])\*\*(?!\*))"
)


def may_be_worded(text: str) -> bool:
    """Whether `WORDING` can match; saves the search in most notes."""
    lower = text.lower()
    return any(hint in lower for hint in _HINTS) or _GROUPED.search(text) is not None


def wording(match: re.Match[str]) -> str:
    """The plain form of a match of `WORDING`."""
    kind = match.lastgroup
    if kind == "under":
        return f"{_number(match['spoken'])}/{_number(match['under'])}"
    if kind == "words":
        return _number(match["words"])
    if kind == "thousands":
        return re.sub(r"\D", "", match.group())
    if kind == "sign":
        return "positive" if match["sign"] == "+" else "negative"
    return ""  # the space of "do n't", the stars of bold print


def _number(words: str) -> str:
    """The digits of a number in words: "one hundred and twenty", "ninety eight point six"."""
    if words.isdigit():
        return words
    words, _, decimals = words.lower().replace("-", " ").replace(" and ", " ").partition(" point ")
    parts = words.split()
    if len(parts) > 1 and parts[0] in ("one", "two") and parts[1] in _TENS:  # "one thirty over eighty"
        parts.insert(1, "hundred")
    total = group = 0
    for part in parts:
        if part == "hundred":
            group *= 100
        elif part == "thousand":
            total, group = group * 1000, 0
        else:
            group += _DIGITS[part]
    digits = "".join(str(_DIGITS[word]) for word in decimals.split())
    return f"{total + group}.{digits}" if digits else str(total + group)
