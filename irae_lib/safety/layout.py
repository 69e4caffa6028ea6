"""Lines and forms of a note: the section of each sentence and the answers of a form.

`Layout` is built from the view of a note. `section` is passed to `context.assign` for each sentence; `marks` are spans
whose status comes from the form itself: "Seizures: No", "(-) jaundice", "[ ] colitis", "Grade 0 rash". This code knows
no diseases.
"""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Iterator

from .context import ITEMS
from .forms import Mark, form_marks
from .phrasing import is_definite
from .tokens import Token, within

# The section that a heading opens, first match first. "" ends the section before.
_SECTIONS = (
    ("family", r"family (?:medical )?(?:history|hx)|fhx?|family"),
    (
        "copied",
        r".*\b(?:cop(?:ied|y)[ -]?(?:forward|from)|carried forward|(?:from|per) (?:the )?(?:prior|previous|last|old) "
        r"note"
        r"|previous note|prior note)\b.*",
    ),
    (
        "historical",
        r"(?:immune |irae |drug |past |previous |prior )*toxicit(?:y|ies) (?:history|hx|record)|"
        r"(?:past|previous|prior|old) (?:immune[ -]related )?(?:toxicit(?:y|ies)|iraes?|adverse events)",
    ),
    (
        "",
        r"(?:interval|oncolog\w+|cancer|treatment|present(?:ing)?|clinical|relevant|current|brief|referral) (?:medical )?(?:history|hx).*|"
        r"h(?:istory|x) of present.*|hpi",
    ),
    (
        "hypothetical",
        r"(?:when|reasons?|how) to (?:call|contact|seek|return|phone|ring|worry).*|"
        r"(?:please )?(?:call|contact|phone|ring|notify|alert|tell|inform|report|return|come back|go|seek|get)\b.*"
        r"\b(?:if|any of|the following|immediately|right away|as soon as)\b.*|"
        r"(?:please )?(?:return|go|come back) to (?:the |an? )?(?:er|ed|a&e|emergency|hospital|clinic)\b.*|"
        r"call (?:us|me|your|our|911|the (?:clinic|office|doctor|team|hospital))\b.*|"
        r"seek (?:medical|urgent|emergency|immediate|help|care)\b.*|"
        r".*\b(?:return|safety|emergency|strict|er|ed) (?:precautions?|instructions?)\b.*|"
        r"(?:(?:patient|discharge|home|aftercare|parent|family)[ /])?(?:education|instructions?|handout|"
        r"teaching)(?: .*)?|"
        r"safety[ -]net\w*.*|counsel(?:l?ing|l?ed)?\b.*|"
        r"(?:informed )?consent(?: (?:for|to|discussion)\b.*)?|"
        r"risks?(?: (?:discussed|reviewed|explained|include\w*|of|and|benefits)\b.*)?|"
        r"(?:possible|potential|common|rare|expected) (?:side effects?|complications|"
        r"adverse (?:effects|events)).*|"
        r"(?:side effects?|complications|adverse (?:effects|events)) (?:discussed|reviewed|explained|may|can|to)\b.*|"
        r"(?:warning|danger) signs?.*|"
        r"(?:signs|symptoms|things|what)(?: (?:and|or) \w+)? to (?:watch|look|report|monitor)\b.*|"
        r"watch (?:out )?for.*|red flags?(?: (?:to|discussed|reviewed|given|explained)\b.*)?|explained\b.*|"
        r"(?:hold|holding|stopping|treatment|dosing|treat|call|notify|transfusion) (?:parameters?|criteria|limits?|"
        r"thresholds?|rules)\b.*|(?:hold|stop|treat|transfuse|ok(?:ay)? to treat) if\b.*|"
        r"(?:leaflets?|booklets?|written information|alert card)\b.*",
    ),
    (
        "historical",
        r".*\b(?:pmh\w*|past (?:medical|surgical|history)|medical history|history of past|background|comorbidit\w+|hx|"
        r"previous history|surgical history|"
        r"(?:past|previous|prior|earlier|old) (?:immune\W?|related |treatment |ici |io |adverse )*"
        r"(?:toxicit\w+|irae?s?|events?|reactions?|complications?|episodes?)|(?:irae?|toxicity) (?:history|hx))\b.*",
    ),
    ("review", r"ros|review of systems?|systems review|systemic enquiry"),
    ("plan", r"(?:treatment |management |follow[ -]?up )?plan|recommendations?|follow[ -]?up|next steps|orders?|to do"),
    ("signature", r"(?:electronically |digitally )?(?:signed|authenticated|dictated|transcribed|reviewed by)\b.*"),
)
_SECTION = tuple((value, re.compile(pattern, re.I)) for value, pattern in _SECTIONS)
# Names that end a section even in the middle of a line.
_NEUTRAL = (
    r"HPI|Interval (?:history|hx)|History of present(?:ing)? illness|Subjective|Objective|"
    r"Assessment(?: (?:and|&) plan)?|"
    r"Impression|A/P|Exam(?:ination)?|Physical exam(?:ination)?|PE|Vitals?(?: signs)?|Labs?|Laboratory(?: results)?|"
    r"Results|Imaging|Medications?|Meds|Allergies|Social history|SH|Symptoms|Today|Current(?:ly)?|Present|Now|Update|"
    r"Chief complaint|CC|Diagnos[ie]s"
)
_KNOWN = (
    r"PMHx?|P\.?M\.?H\.?|Past medical (?:history|hx)|Family (?:history|hx)|FHx?|ROS|Review of systems|Plan|"
    r"(?:Strict )?[Rr]eturn precautions|Patient (?:education|instructions)|Discharge instructions|When to call|"
    r"Warning signs|(?:Past|Previous|Prior) (?:immune[- ]related |immune |ICI |treatment )?(?:toxicit(?:y|ies)|irAEs?)|Safety[ -]net(?:ting)?(?: advice)?|Risks|Counsell?ing"
)
_INSIDE = re.compile(rf"(?<=[.;!?] )(?:{_NEUTRAL}|{_KNOWN})(?: \([^()\n]{{1,60}}\))?:", re.I)
_VISIT = re.compile(r"\b(?:today|this (?:visit|morning|afternoon)|since last (?:visit|seen))\b", re.I)
_NEWER = re.compile(r"(?<=[.;!?] )(?:today|now|currently|at present|this visit)\b", re.I)
_UPDATE = re.compile(r"(?:interval|today|current|now|update|since)\b", re.I)  # newer than copied text
_SENTENCE_END = re.compile(r"[.!?]\s")
_HEADING = re.compile(r"[\s\-*•·#\d.)]*([A-Za-z][^:\n]{0,90}?)\s*:")
_TITLE = re.compile(r"[\s*#=_-]*([A-Za-z][A-Za-z /&'()-]{1,60}?)[\s*#=_-]*")
_BULLET = re.compile(r"\s*(?:[-*•·▪◦‣–—o]\s|[-*•·▪◦‣]|\d{1,2}[.)]\s|\[[ xX_]?\])")
_SIGNED = re.compile(r"\s*(?:electronically|digitally) signed\b", re.I)
_LONGEST_NAME = 4  # words of a heading
_SENTENCES = ("copied", "hypothetical", "signature")  # headings of these sections may be sentences
_LONGEST_SENTENCE = 14


class Layout:
    """Sections and form answers of the view `text`."""

    def __init__(self, text: str):
        self._starts: list[int] = [0]
        self._sections: list[str] = [""]
        self._end = len(text)
        self._read_sections(text)
        self.marks = form_marks(text)

    def section(self, at: int) -> str:
        """The section at `at`: historical, family, copied, hypothetical, plan, review, signature, or ""."""
        return self._sections[bisect.bisect_right(self._starts, at) - 1]

    def _read_sections(self, text: str) -> None:
        block = ""  # section of the lines below a heading on its own line
        bullets = ""  # section of the bullets below a heading with text after it
        start, updated, alone = 0, False, False
        opened = False  # the previous line is a heading on its own
        for line in text.split("\n"):
            name, rest = _heading(line)
            bullet = _BULLET.match(line) is not None
            value = _value(name)
            if value is None and bullet and (block or bullets):
                section = block or bullets
            elif name:
                section = value or ""
                block, bullets, alone = "" if rest else section, section, not rest
            elif not line.strip():
                if not opened:  # a blank line may separate a heading from its text
                    block, section, bullets = "", "", bullets if alone else ""
            else:
                section, bullets = block, bullets if block else ""
            opened = (bool(name) and not rest) or (opened and not line.strip())
            self._begin(start, section)
            updated = updated or _UPDATE.match(name) is not None
            updated = updated or (section != "copied" and _VISIT.search(line) is not None)
            if section == "copied" and (newer := _NEWER.search(line)):  # "Copied: ALT 890. Today LFTs normal."
                self._begin(start + newer.start(), "")
                updated = True
            for match in _INSIDE.finditer(line):
                value = _value(match.group().rstrip(":")) or ""
                updated = updated or _UPDATE.match(match.group()) is not None
                self._begin(start + match.start(), value)
                if value and value != "copied":  # a heading inside a paragraph covers its own sentence
                    end = _SENTENCE_END.search(line, match.end())
                    self._begin(start + (end.end() if end else len(line)), "")
            start += len(line) + 1
        if not updated:  # without newer text, copied text is current
            self._sections = ["" if section == "copied" else section for section in self._sections]

    def spans(self) -> Iterator[tuple[str, int, int]]:
        """Every named section, with its first and last offset."""
        ends = [*self._starts[1:], self._end]
        for section, start, end in zip(self._sections, self._starts, ends, strict=True):
            if section:
                yield section, start, end

    def _begin(self, at: int, section: str) -> None:
        if section != self._sections[-1]:
            self._starts.append(at)
            self._sections.append(section)


def _heading(line: str) -> tuple[str, str]:
    """The name of a heading and the text after it; an empty name if the line is not a heading."""
    if _SIGNED.match(line):
        return "signed", line
    match = _HEADING.match(line)
    if match is not None:
        name, rest = match[1].strip(" *#_"), line[match.end() :].strip(" *#_")
        if rest and ". " in name:
            return "", ""  # a heading inside a paragraph
        if not rest:
            name = name.rsplit(". ", 1)[-1]  # "On nivolumab. Explained:" and a list below
        if len(name.split()) <= _LONGEST_NAME or _value(name) is not None:
            return name, rest
        return "", ""
    title = _TITLE.fullmatch(line) if len(line) < 70 else None
    if title is not None and _value(title[1]) is not None:
        return title[1], ""
    return "", ""


@functools.lru_cache(maxsize=2048)
def _value(name: str) -> str | None:
    """The section that a heading opens; None for an unlisted name."""
    words = len(name.split())
    for value, pattern in _SECTION:
        if words and words <= (_LONGEST_SENTENCE if value in _SENTENCES else _LONGEST_NAME) and pattern.fullmatch(name):
            return value
    return None


# --- effects of the layout on tokens ------------------------------------------------------------------------

_BOUND = re.compile(
    r"(?:[<>]|above|over|more|higher|greater|below|less|under|at least|exceed\w*|reach\w*)[^\d.;\n]{0,14}$"
)


def mute_answers(tokens: list[Token], marks: list[Mark]) -> None:
    """Remove the cues from the answer words of a form, so that "Fever: no, rash: yes" does not deny the rash."""
    for mark in marks:
        if not mark.status:
            for _, token in within(tokens, mark.start, mark.end):
                if token.kind == "cue":
                    token.cues = ()


def impose(norm: str, tokens: list[Token], layout: Layout) -> None:
    """Apply the status of section and form to tokens; cues within a sentence were applied before."""
    for section, first, last in layout.spans():
        for at, token in within(tokens, first, last):
            if section == "copied" and token.kind in ITEMS and token.status == "current":
                token.status = "historical"
            elif section == "hypothetical" and token.status == "current":
                happened = token.kind == "finding" and is_definite(norm, tokens, at)
                if not happened and not is_measured(norm, token):
                    token.status = "hypothetical"
    for mark in layout.marks:
        for _, token in within(tokens, mark.start, mark.end):
            if mark.status == "historical" and token.kind in ITEMS and token.status == "current":
                token.status = "historical"
            if mark.status == "limit" and token.kind in NUMBERED and not is_measured(norm, token):
                token.status = "hypothetical"
            if token.kind != "finding":
                continue
            if mark.status == "negated" or mark.status == "hypothetical":
                token.status = mark.status if token.status in ("current", "hypothetical", "negated") else token.status
            elif mark.status == "current" and token.status == "negated":
                token.status = "current"


def is_measured(norm: str, token: Token) -> bool:
    """Whether it is a measured value, which no heading makes hypothetical, rather than a bound ("above 38 C")."""
    if token.kind not in NUMBERED:
        return token.kind != "finding"
    number = token if token.kind == "number" else None
    at = token.start if number else token.end + 30
    digit = _DIGIT.search(norm, token.end, at) if number is None else None
    if number is None and digit is None:
        return False
    start = number.start if number else digit.start()
    return not (number and number.sign) and _BOUND.search(norm, max(0, start - 30), start) is None


_DIGIT = re.compile(r"\d")
NUMBERED = frozenset(("lab", "vital", "number"))
