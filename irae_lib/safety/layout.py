"""Lines and forms of a note: which section a sentence stands in, and what a form answers.

`Layout` is built from the view of a note. `section` is the value that `context.assign` gets for a sentence; `marks`
are spans whose status the form itself gives: "Seizures: No", "(-) jaundice", "[ ] colitis", "Grade 0 rash".
Nothing here knows a disease.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Iterator
from itertools import groupby, zip_longest
from typing import NamedTuple

from .context import ITEMS
from .tokens import Token

# What a heading says of the text below it, first match first. "" ends the section before.
_SECTIONS = (
    ("family", r"family (?:medical )?(?:history|hx)|fhx?|family"),
    (
        "copied",
        r".*\b(?:cop(?:ied|y)[ -]?(?:forward|from)|carried forward|(?:from|per) (?:the )?(?:prior|previous|last|old) note|"
        r"previous note|prior note)\b.*",
    ),
    ("", r"(?:interval|oncolog\w+|cancer|treatment|present(?:ing)?) (?:medical )?(?:history|hx).*|h(?:istory|x) of present.*|hpi"),
    (
        "hypothetical",
        r"(?:when|reasons?|how) to (?:call|contact|seek|return|phone|ring|worry).*|"
        r"(?:please )?(?:call|contact|phone|ring|notify|alert|tell|inform)\b.*\b(?:if|when|for|following)\b.*|"
        r"(?:please )?(?:return|come back|go|report|seek|get)\b.*\b(?:if|when|for|following|precautions)\b.*|"
        r".*\b(?:return|safety|emergency|strict|er|ed) (?:precautions?|instructions?)\b.*|"
        r"(?:patient|discharge|home|aftercare|parent|family)?[ /]?(?:education|instructions?|information|advice|handout|teaching)(?: .*)?|"
        r"safety[ -]net\w*.*|counsel\w*.*|(?:informed )?consent.*|"
        r"(?:possible|potential|common|rare|serious|known|expected)? ?(?:risks?|side effects?|complications|adverse (?:effects|reactions))"
        r"(?: (?:discussed|reviewed|explained|include\w*|of|to|that|may|and|benefits|alternatives|watch|report)\b.*)?|"
        r"(?:warning|danger) signs?.*|(?:signs|symptoms|things|what) .*\b(?:watch|look out|look|report|monitor)\b.*|"
        r"watch (?:out )?for.*|seek .*|red flags?(?: to| discussed| reviewed).*",
    ),
    (
        "historical",
        r".*\b(?:pmh\w*|past (?:medical|surgical|history)|medical history|history of past|background|comorbidit\w+|hx|"
        r"previous history|surgical history)\b.*",
    ),
    ("review", r"ros|review of systems?|systems review|systemic enquiry"),
    ("plan", r"(?:treatment |management |follow[ -]?up )?plan|recommendations?|follow[ -]?up|next steps|orders?|to do"),
    ("signature", r"(?:electronically |digitally )?(?:signed|authenticated|dictated|transcribed|cc|reviewed by)\b.*"),
)
_SECTION = tuple((value, re.compile(pattern, re.I)) for value, pattern in _SECTIONS)
# Names that end a section when they stand in the middle of a line.
_NEUTRAL = (
    r"HPI|Interval (?:history|hx)|History of present(?:ing)? illness|Subjective|Objective|Assessment(?: (?:and|&) plan)?|"
    r"Impression|A/P|Exam(?:ination)?|Physical exam(?:ination)?|PE|Vitals?(?: signs)?|Labs?|Laboratory(?: results)?|"
    r"Results|Imaging|Medications?|Meds|Allergies|Social history|SH|Symptoms|Today|Current(?:ly)?|Present|Now|Update|"
    r"Chief complaint|CC|Diagnos[ie]s"
)
_KNOWN = (
    r"PMHx?|P\.?M\.?H\.?|Past medical (?:history|hx)|Family (?:history|hx)|FHx?|ROS|Review of systems|Plan|"
    r"(?:Strict )?[Rr]eturn precautions|Patient (?:education|instructions)|Discharge instructions|When to call|"
    r"Warning signs|Safety[ -]net(?:ting)?(?: advice)?|Side effects|Risks|Counsell?ing"
)
_INSIDE = re.compile(rf"(?<=[.;!?] )(?:{_NEUTRAL}|{_KNOWN})(?: \([^()\n]{{1,60}}\))?:", re.I)
_SENTENCE_END = re.compile(r"[.!?]\s")
_HEADING = re.compile(r"[\s\-*•·#\d.)]*([A-Za-z][^:\n]{0,90}?)\s*:")
_TITLE = re.compile(r"[\s*#=_-]*([A-Za-z][A-Za-z /&'()-]{1,60}?)[\s*#=_-]*")
_BULLET = re.compile(r"\s*(?:[-*•·▪◦‣–—o]\s|[-*•·▪◦‣]|\d{1,2}[.)]\s|\[[ xX_]?\])")
_SIGNED = re.compile(r"\s*(?:electronically|digitally) signed\b", re.I)
_LONGEST_NAME = 4  # words of a heading
_SENTENCES = ("copied", "hypothetical", "signature")  # what these headings say may be a sentence
_LONGEST_SENTENCE = 14
_RISKS = re.compile(
    r"\b(?:risks?|side effects?|adverse (?:effects|reactions|events)|complications|toxicities)\b[^.;:\n]{0,60}?"
    r"\b(?:(?:can|may|could|might) (?:include|be|cause)|includ(?:e|ing)|such as|like)\b[^.;\n]*",
    re.I,
)
_FACT = re.compile(r"\b(?:had|has|have|experienced|developed|suffered|reports?|reported|noted|ongoing|with|his|her)\b", re.I)


class Mark(NamedTuple):
    """A span whose status the form gives: negated, current or hypothetical; or an answer word, status ""."""

    start: int
    end: int
    status: str


class Layout:
    """Sections and form answers of the view `text`."""

    def __init__(self, text: str):
        self._starts: list[int] = [0]
        self._sections: list[str] = [""]
        self._end = len(text)
        self._read_sections(text)
        self.marks = _marks(text)

    def section(self, at: int) -> str:
        """historical, family, copied, hypothetical, plan, review, signature, or "" for the text at `at`."""
        return self._sections[bisect.bisect_right(self._starts, at) - 1]

    def _read_sections(self, text: str) -> None:
        block = ""  # what a heading on a line of its own says of the lines below
        bullets = ""  # what a heading with text behind it says of the bullets below
        start = 0
        for line in text.split("\n"):
            name, rest = _heading(line)
            bullet = _BULLET.match(line) is not None
            value = _value(name)
            if value is None and bullet and (block or bullets):
                section = block or bullets
            elif name:
                section = value or ""
                block, bullets = ("", section) if rest else (section, section)
            elif not line.strip():
                block, section = "", ""
            else:
                section, bullets = block, bullets if block else ""
            self._begin(start, section)
            for match in _INSIDE.finditer(line):
                value = _value(match.group().rstrip(":")) or ""
                self._begin(start + match.start(), value)
                if value and value != "copied":  # a heading inside a paragraph speaks for its own sentence
                    end = _SENTENCE_END.search(line, match.end())
                    self._begin(start + (end.end() if end else len(line)), "")
            start += len(line) + 1
        if "copied" in self._sections and not _is_updated(self._sections):
            self._sections = ["" if section == "copied" else section for section in self._sections]

    def spans(self) -> Iterator[tuple[str, int, int]]:
        """Every section that has a name, with its first and last offset."""
        ends = [*self._starts[1:], self._end]
        for section, start, end in zip(self._sections, self._starts, ends, strict=True):
            if section:
                yield section, start, end

    def _begin(self, at: int, section: str) -> None:
        if section != self._sections[-1]:
            self._starts.append(at)
            self._sections.append(section)


def _is_updated(sections: list[str]) -> bool:
    """Does other text follow what was copied? Text that was only copied is the newest there is."""
    return any(section == "" for section in sections[sections.index("copied") + 1 :])


def _heading(line: str) -> tuple[str, str]:
    """The name of a heading and the text behind it; no name where the line is no heading."""
    if _SIGNED.match(line):
        return "signed", line
    match = _HEADING.match(line)
    if match is not None:
        name = match[1].strip(" *#_")
        if len(name.split()) <= _LONGEST_NAME or _value(name) is not None:
            return name, line[match.end() :].strip(" *#_")
        return "", ""
    title = _TITLE.fullmatch(line) if len(line) < 70 else None
    if title is not None and _value(title[1]) is not None:
        return title[1], ""
    return "", ""


@functools.lru_cache(maxsize=2048)
def _value(name: str) -> str | None:
    """The section a heading opens; None for a name that is not listed."""
    words = len(name.split())
    for value, pattern in _SECTION:
        if words and words <= (_LONGEST_SENTENCE if value in _SENTENCES else _LONGEST_NAME) and pattern.fullmatch(name):
            return value
    return None


# --- forms --------------------------------------------------------------------------------------------------

_NO = r"(?:no|none|nil|not present|absent|denie[sd]|denying|negative|neg|nope|never|not reported|not seen|n/a)"
_YES = r"(?:yes|present|positive|pos|ongoing|true)"
_BEHIND = (
    r"(?=\s*(?:[.,;|)\n]|$|\t)|\s{2,}|\s*[\[(][-+ xX_]?[\])]|\s+(?:at (?:this|the) (?:time|moment)|currently|today|reported|"
    r"noted|seen|since|known|for now|[A-Z][A-Za-z /()-]{1,40}?[:?=]))"
)
_ANSWER = re.compile(
    rf"(?:(?P<mark>[:=|\t])|(?<=\s)[-–—](?=\s))[ \t|]*(?:(?i:(?P<no>{_NO})|(?P<yes>{_YES}))|(?P<n>[N0])|(?P<y>Y)){_BEHIND}"
)
_SPEAKER = r"(?:\[?(?:patient|pt|doctor|dr|guest\w*|nurse|clinician|provider|caregiver)\]?\s*[:-]\s*)?"
_REPLY = re.compile(
    rf"\?\s*(?i:{_SPEAKER}(?:(?:um|uh|oh|well|hmm|ah)\b[\s,.]*)*"
    r"(?:(?P<no>(?:no|nope|nah|none|never|not (?:really|at all|that i)|denie[sd]|negative|neg|absent|"
    r"i (?:have not|haven't|don't|do not|did not|didn't))\b)|(?P<yes>(?:yes|yeah|yep|yup|correct|i do|i have)\b)))"
)
_NO_DENIAL = re.compile(
    r"\s*,?\s*(?:longer|improvement|change|better|resolution|but|just|except|doubt|response|more than|less than|worse)", re.I
)
_BOX = re.compile(r"\[(?P<empty>[ _]{0,3})\]|\[(?P<tick>[xX*✓])\]|(?<![A-Za-z])\((?P<round>[xX ])\)(?=\s?[A-Za-z])")
_OPTION = re.compile(r"\s*(?P<no>no|none|n|absent|never)\b|\s*(?P<yes>yes|y|present)\b", re.I)
_SIGN = re.compile(r"(?<![\w)])\(\s?(?:(?P<minus>[-−–])|(?P<plus>\+))\s?\)")
_GRADE_0 = re.compile(r"\b(?:grade|gr\.?|g)[ :=]{0,2}0\b(?!\.?\d|/|-\d)", re.I)
_LONGEST_ITEM = 160  # characters
_LETTER_FOLLOWS = re.compile(r" ?[A-Za-z]")
_BEHIND_ITEM = re.compile(r"(?<=[A-Za-z)]) ?$")
_STOP = re.compile(r"[.;\n|\t](?:\s|$)|\n|\t|\|")
_ITEM_STOP = re.compile(r"[;\n|\t]|\.(?:\s|$)")
_LIST_STOP = re.compile(r"[.;,\n|]")
_VERB = re.compile(r"\b(?:has|have|had|is|was|with|reports?|presents?|developed|noted|continues|on|since|and then)\b", re.I)
_HINT = re.compile(r"[:=|\t?]|\s[-–—]\s|\[|\(\s?[-+−–xX ]|(?i:\bgr?(?:ade)?\W{0,2}0)")


def _marks(text: str) -> list[Mark]:
    """Every span whose status is given by a form, in order of its start."""
    marks = [Mark(m.start(), m.end(), "hypothetical") for m in _RISKS.finditer(text) if not _FACT.search(_before(text, m))]
    if _HINT.search(text):
        for reader in (_answers, _replies, _boxes, _signs, _zero_grades):
            marks += reader(text)
    return sorted(marks)


def _before(text: str, match: re.Match[str]) -> str:
    return text[_back(text, match.start(), ".;\n") : match.start()]


def _back(text: str, at: int, stops: str) -> int:
    """The start of the segment that ends at `at`: behind the last of `stops`, or the farthest an item reaches."""
    lowest = max(0, at - _LONGEST_ITEM)
    return max((text.rfind(stop, lowest, at) + 1 for stop in stops), default=0) or lowest


def _answers(text: str) -> Iterator[Mark]:
    """Behind a colon, an equals sign, a dash or a cell border: "Seizures: No", "Rash | none", "Fever - denied"."""
    last = 0
    for match in _ANSWER.finditer(text):
        end = match.start()
        if text[end - 1 : end] in ("|", "\t"):
            end -= 1
        start = max(_back(text, end, ".;:?=|\t\n"), last)
        label = text[start:end]
        if "," in label and (match["mark"] not in (":", "=") or _VERB.search(label)):
            start += label.rfind(",") + 1
        last = match.end()
        if label.strip():
            yield Mark(start, end, "negated" if match["no"] or match["n"] else "current")
            yield Mark(match.start(), match.end(), "")


def _replies(text: str) -> Iterator[Mark]:
    """A question and its answer: "Any recent seizures? No, I have not."."""
    for match in _REPLY.finditer(text):
        if match["no"] and _NO_DENIAL.match(text, match.end()):
            continue
        start = _back(text, match.start(), ".;?!\n")
        yield Mark(start, match.start(), "negated" if match["no"] else "current")
        yield Mark(match.start(), match.end(), "")


def _until(text: str, at: int, limit: int, stop: re.Pattern[str] = _STOP) -> int:
    match = stop.search(text, at, limit)
    return match.start() if match else limit


def _boxes(text: str) -> Iterator[Mark]:
    """Ticked and unticked boxes, before what they speak of or behind it, and "[ ] yes [x] no" behind a question."""
    for _, group in groupby(_BOX.finditer(text), key=_LineCounter(text)):
        boxes = list(group)
        line_end = text.find("\n", boxes[-1].end())
        line_end = line_end if line_end >= 0 else len(text)
        behind = not text[boxes[-1].end() : line_end].strip(" .|\t") and _BEHIND_ITEM.search(text, max(0, boxes[0].start() - 2), boxes[0].start())
        label = None  # the first box of the options being read
        for box, following in zip_longest(boxes, boxes[1:]):
            end = _until(text, box.end(), following.start() if following else line_end, _ITEM_STOP)
            ticked = (box["tick"] or box["round"] or " ").strip() != ""
            option = _OPTION.match(text, box.end(), end)
            if option is not None:
                label = label or box
                yield Mark(box.start(), end, "")
                if ticked:
                    start = _back(text, label.start(), ".;\n|\t]")
                    yield Mark(start, label.start(), "negated" if option["no"] else "current")
                continue
            label = None
            if not ticked and behind:
                yield Mark(_back(text, box.start(), ".;\n|\t],"), box.start(), "negated")
            elif not ticked:
                yield Mark(box.end(), end, "negated")


class _LineCounter:
    """The number of the line of each match, for matches in order."""

    def __init__(self, text: str):
        self.text, self.at, self.line = text, 0, 0

    def __call__(self, match: re.Match[str]) -> int:
        self.line += self.text.count("\n", self.at, match.start())
        self.at = match.start()
        return self.line


def _signs(text: str) -> Iterator[Mark]:
    """(+) and (-), before a list ("(-) jaundice, diplopia") or behind one item ("jaundice (-), rash (+)")."""
    signs = list(_SIGN.finditer(text))
    for i, sign in enumerate(signs):
        following = signs[i + 1].start() if i + 1 < len(signs) else len(text)
        end = _until(text, sign.end(), following)
        status = "negated" if sign["minus"] else "current"
        if _LETTER_FOLLOWS.match(text, sign.end()):
            yield Mark(sign.end(), end, status)
        else:
            yield Mark(_back(text, sign.start(), ".;,\n|\t:)"), sign.start(), status)


def _zero_grades(text: str) -> Iterator[Mark]:
    """ "Diarrhea Grade 0" and "Grade 0 diarrhea" say that there is none."""
    for match in _GRADE_0.finditer(text):
        start = _back(text, match.start(), ".;,\n|")
        if text[start : match.start()].strip(" \t:(-"):
            yield Mark(start, match.end(), "negated")
        else:
            yield Mark(match.start(), _until(text, match.end(), match.end() + _LONGEST_ITEM, _LIST_STOP), "negated")


# --- what the layout says of tokens -------------------------------------------------------------------------

_BOUND = re.compile(r"(?:[<>]|above|over|more|higher|greater|below|less|under|at least|exceed\w*|reach\w*)[^\d.;\n]{0,14}$")


def mute_answers(tokens: list[Token], marks: list[Mark]) -> None:
    """Take the cues from the answer words of a form, so that "Fever: no, rash: yes" denies no rash."""
    for mark in marks:
        if not mark.status:
            for token in _inside(tokens, mark):
                if token.kind == "cue":
                    token.cues = ()


def impose(norm: str, tokens: list[Token], layout: Layout) -> None:
    """Give tokens the status that section and form demand; words inside a sentence have been heard before."""
    for section, first, last in layout.spans():
        for token in _inside(tokens, Mark(first, last, section)):
            if section == "copied" and token.kind in ITEMS and token.status == "current":
                token.status = "historical"
            elif section == "hypothetical" and token.status == "current":
                if token.kind == "finding" or (token.kind in NUMBERED and _is_bound(norm, token)):
                    token.status = "hypothetical"
    for mark in layout.marks:
        for token in _inside(tokens, mark):
            if token.kind != "finding":
                continue
            if mark.status == "negated" or mark.status == "hypothetical":
                token.status = mark.status if token.status in ("current", "hypothetical", "negated") else token.status
            elif mark.status == "current" and token.status == "negated":
                token.status = "current"


def _is_bound(norm: str, token: Token) -> bool:
    """Is the number of a temperature or value a bound to watch for ("above 38 C") rather than a measurement?"""
    number = token if token.kind == "number" else None
    at = token.start if number else token.end + 30
    digit = _DIGIT.search(norm, token.end, at) if number is None else None
    if number is None and digit is None:
        return True
    start = number.start if number else digit.start()
    return bool(number and number.sign) or _BOUND.search(norm, max(0, start - 30), start) is not None


def _inside(tokens: list[Token], mark: Mark) -> Iterator[Token]:
    at = bisect.bisect_left(tokens, mark.start, key=_start_of)
    while at < len(tokens) and tokens[at].start < mark.end:
        yield tokens[at]
        at += 1


def _start_of(token: Token) -> int:
    return token.start


_DIGIT = re.compile(r"\d")
NUMBERED = frozenset(("lab", "vital", "number"))
