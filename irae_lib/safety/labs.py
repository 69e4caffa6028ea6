"""Laboratory values and vital signs: a name, its number, and the details printed around it.

Works on the tokens of a note after `context.assign`. A value keeps unit, comparator, reference range, flag, baseline
and date. Nothing that could change a grade is guessed: a troponin without a unit is graded by its flag or not at all,
and a dose is never a value.
"""

from __future__ import annotations

import re
from decimal import Decimal

from ..schemas import Finding
from .lab_records import Record, record_behind, token_of
from .lab_series import Reading, Series
from .lab_words import flag_after, flag_before, heading_date, is_in_si, is_of_urine, is_ratio, repeats
from .lexicon import ANALYTES, VITALS, Analyte
from .tables import Tables
from .tokens import Token, changed, make

_NO_TEST = re.compile(  # "BP tablet Telma 40"
    r" (?:tablets?|tabs?|pills?|medicines?|medications?|meds|drugs?|capsules?|cuff|supplements?|infusion)\b"
)


def lab_findings(text: str, norm: str, tokens: list[Token]) -> list[Finding]:
    """Every laboratory value and vital sign with a number or a flag, in the order of the note."""
    found: list[Finding] = []
    tables = Tables(text, norm, tokens)
    together: list[Token] = []  # names that share the following numbers: "AST/ALT", "Na and K"
    last: Token | None = None
    for i, token in enumerate(tokens):
        if token.kind in ("lab", "vital"):
            if is_ratio(norm, token) or is_of_urine(norm, token) or _NO_TEST.match(norm, token.end):
                continue
            if last is not None and repeats(norm, last, token):
                continue  # "AST (SGOT)"
            if _shares_what_follows(norm, tokens, i):
                together.append(token)
                continue
            made = _pair(text, norm, tokens, i, together)
            if made is None:
                made = _read(text, norm, tokens, i, tables)
                made += [changed(f, name=other.names[0]) for other in together for f in made]
            found += made
            together = []
            last = token if token.kind == "lab" else last
        elif last is not None and (token.kind == "number" or ("now" in token.cues and token.sentence != last.sentence)):
            found += _later_number(text, norm, tokens, i, last)
    return _in_one_unit(found)


def _in_one_unit(found: list[Finding]) -> list[Finding]:
    """Give bare numbers the unit that the note states for the same analyte.

    A whole-number bilirubin of 3 to 21 without a unit is read as umol/L if transaminases are (nearly) normal, or if the
    creatinine or hemoglobin of the report can only be in SI units.
    """
    stated = {f.name: f for f in found if f.kind == "lab" and f.high and f.unit in ANALYTES[f.name].units}
    units = {name: f.unit for name, f in stated.items()}
    values = [f for f in found if f.name in ("alt", "ast")]
    values = [f for f in values if f.status == "current"] or values
    enzymes = {f.name: f.times_uln for f in values}  # the last values
    normal = enzymes and all(times is not None and times < _NEARLY_NORMAL for times in enzymes.values())
    if "bilirubin" not in units and (normal or any(is_in_si(f.name, f.value, f.unit) for f in found)):
        units["bilirubin"] = "umol/l"
    return [_converted(f, units[f.name], stated.get(f.name)) if not f.unit and f.name in units else f for f in found]


def _converted(f: Finding, unit: str, stated: Finding | None) -> Finding:
    """The finding with its bare number read in `unit`, unless the number is close to the stated value."""
    if stated is not None and f.high and Decimal("0.1") < f.high / stated.high < 10:
        return f
    bare = (
        f.kind == "lab" and f.high is not None and f.value.replace(".", "", 1).isdigit() and Decimal(f.value) == f.high
    )
    if not bare or (f.name == "bilirubin" and (f.high < 3 or "." in f.value)):
        return f
    analyte = ANALYTES[f.name]
    low, high = analyte.convert(f.low, unit), analyte.convert(f.high, unit)
    if low is None or high is None:
        return f
    limit = f.uln or analyte.uln
    return changed(f, low=low, high=high, times_uln=high / limit if limit and f.times_uln is not None else f.times_uln)


_NEARLY_NORMAL = Decimal("1.5")  # times ULN


def _shares_what_follows(norm: str, tokens: list[Token], i: int) -> bool:
    following = tokens[i + 1 : i + 3]
    if not following:
        return False
    if following[0].kind == "lab":
        return norm[tokens[i].end : following[0].start] in (" and ", " & ", "/")
    return following[0].kind == "/" and len(following) > 1 and following[1].kind == "lab"


def _pair(text: str, norm: str, tokens: list[Token], i: int, together: list[Token]) -> list[Finding] | None:
    """Two names with two numbers: "AST/ALT 485/612", "Na/K 128/5.6"; None otherwise."""
    token = tokens[i]
    names = [t.names[0] for t in (*together, token)] if together else norm[token.start : token.end].split("/")
    if len(names) != 2 or token.kind == "vital" or any(name not in ANALYTES for name in names):
        return None
    for j in range(i + 1, min(i + 4, len(tokens))):
        t = tokens[j]
        numbers, end = (), t.end
        if t.kind == "pair" and t.start - token.end < 25:
            numbers = (t.low, t.high)
        elif t.kind == "number" and _second_number(norm, tokens, j):
            numbers, end = (t.low, tokens[j + 1].low), tokens[j + 1].end
        if numbers:
            start = together[0].start if together else token.start
            readings = [Reading(t, low=number, high=number, unit="", raw=str(number)) for number in numbers]
            made = [_finding(text, token, ANALYTES[name], r, None) for name, r in zip(names, readings, strict=True)]
            return [changed(f, start=start, end=end, quote=text[start:end]) for f in made if f is not None]
        if t.kind not in (":", "cue"):
            return None
    return None


def _said_now(tokens: list[Token], i: int) -> bool:
    """Whether the sentence says "today" before the name or right after its value."""
    name = tokens[i]
    around = (*tokens[max(0, i - 12) : i], *tokens[i + 1 : i + 3])
    return any("now" in t.cues and t.sentence == name.sentence for t in around)


def _second_number(norm: str, tokens: list[Token], j: int) -> bool:
    following = tokens[j + 1] if j + 1 < len(tokens) else None
    if following is None or following.kind != "number":
        return False
    return norm[tokens[j].end : following.start].strip() in ("and", "&", ",")


def _from_record(text: str, token: Token, analyte: Analyte, record: Record) -> list[Finding]:
    """One finding for each value of a row; values before the newest day are historical."""
    made = []
    last = max(record.days) if record.days else None
    for k, cell in enumerate(record.values):
        when = "" if last is None or record.days[k] == last else "previous"
        finding = _finding(text, token, analyte, Reading(token_of(cell), when), record)
        if finding is None:
            continue
        start, end = min(token.start, cell.start), max(token.end, cell.end)
        if "\n" in text[start:end]:  # the name is a column header
            start, end = cell.start, cell.end
        elif not when and len(record.values) == 1:
            end = max(end, record.end)
        made.append(changed(finding, start=start, end=end, quote=text[start:end]))
    return made


def _record(text: str, norm: str, tokens: list[Token], i: int, tables: Tables) -> Record | None:
    """The table row that contains or follows the name at `i`; None for prose."""
    token, analyte = tokens[i], ANALYTES[tokens[i].names[0]]
    if analyte.name == "bp" and not norm.startswith((" syst", ", syst"), token.end):
        return None  # a blood pressure is two numbers
    return tables.record(token, analyte) or record_behind(text, norm, tokens, i, analyte)


def _read(text: str, norm: str, tokens: list[Token], i: int, tables: Tables) -> list[Finding]:
    """The findings of the name at `i`."""
    token = tokens[i]
    analyte = ANALYTES[token.names[0]]
    record = _record(text, norm, tokens, i, tables)
    if record is not None and (made := _from_record(text, token, analyte, record)):
        date = heading_date(tokens, i) if record.days is None else None
        return made if date is None else [changed(f, when=f.when or str(date)) for f in made]
    series = Series(norm, tokens, i, analyte) if record is None else None
    if series is None or not series.readings:
        if analyte.name in _CELLS and (none := _NONE_LEFT.match(norm, token.end)):
            zero = {"value": text[none.start("zero") : none.end()], "low": Decimal(0), "high": Decimal(0)}
            return [make(text, token, token.kind, analyte.name, end=none.end(), status="current", **zero)]
        flag = flag_before(norm, tokens, i) or flag_after(tokens, i)
        if not flag or (token.status == "negated" and flag != "normal"):
            return []  # "no troponin rise" does not give a troponin
        end = max((t.end for t in tokens[i + 1 : i + 4] if t.cues and t.start - token.end <= 22), default=token.end)
        return [make(text, token, token.kind, analyte.name, flag=flag, end=end)]
    made: list[Finding] = []
    for number, reading in enumerate(series.readings, start=1):
        finding = _finding(text, token, analyte, reading, series)
        if finding is not None:
            date = series.dates.get(number, series.heading_date)
            when = str(date) if date is not None else "now" if _said_now(tokens, i) else ""
            made.append(changed(finding, when=when) if when and not finding.when else finding)
    now = [k for k, f in enumerate(made) if not f.when or f.when.isdigit() or f.when == "now"]
    if now and series.end > made[now[-1]].end:
        made[now[-1]] = changed(made[now[-1]], end=series.end, quote=text[token.start : series.end])
    return made


def _finding(
    text: str, token: Token, analyte: Analyte, reading: Reading, series: Series | Record | None
) -> Finding | None:
    low, high, when = reading.low, reading.high, reading.when
    if low is None:
        return None
    limit = series.limits.get("uln") if series is not None else None
    if not reading.unit and limit is not None and limit.unit in analyte.units:
        reading.unit = limit.unit  # "13 12 14 (<21 umol/L)"
    if analyte.name == "platelets" and _LAKH.match(text, reading.token.start):
        reading.unit = "lakh"
    if analyte.name == "bp" and reading.token.kind == "pair":
        high = low  # systolic
    elif high < low:  # "from 60 to 35"
        low = high
    fields: dict = {
        "value": reading.raw or text[reading.token.start : reading.token.end].lstrip("= "),
        "unit": reading.unit,
        "sign": reading.sign,
        "when": when,
        "flag": series.flag if series and not when else "",
    }
    if reading.unit == "xuln":
        fields["times_uln"] = high
    else:
        low, high = standard(low, reading.unit, analyte), standard(high, reading.unit, analyte)
        bounds = analyte.plausible
        if bounds and low is not None and not (bounds[0] <= low <= bounds[1] or bounds[0] <= high <= bounds[1]):
            return None
        printed = series.limits.get("uln") if series and when != "baseline" else None
        if low is None and printed is not None and printed.high and printed.unit == reading.unit:
            fields["times_uln"] = reading.high / printed.high  # value and limit share a unit, known or not
        elif low is None and analyte.missing == "never" and not when and not fields["flag"]:
            fields["flag"] = "no unit"  # not guessed: ng/L and ng/mL differ a thousandfold
        fields["low"], fields["high"] = low, high
        if series is not None and when != "baseline":
            for name, side in (("uln", "high"), ("lln", "low"), ("baseline", "low")):
                limit = series.limits.get(name)
                if limit is not None and not (when and name == "baseline"):
                    fields[name] = standard(getattr(limit, side), limit.unit or reading.unit, analyte)
            fields["times_uln"] = (None if when else series.times_uln) or fields.get("times_uln")
        limit = fields.get("uln") or analyte.uln
        if when != "baseline" and fields.get("times_uln") is None and limit and high is not None:
            fields["times_uln"] = high / limit
    if when and token.status == "current":
        fields["status"] = "historical"
    elif token.status == "historical" and when in ("previous", "recent"):
        fields["when"] = "past"  # history, not an earlier day of this episode
    kind = "vital" if analyte.name in VITALS else "lab"
    return make(text, token, kind, analyte.name, end=reading.token.end, **fields)


def standard(number: Decimal | None, unit: str, analyte: Analyte) -> Decimal | None:
    """The number in the analyte's standard unit; None if the unit is unknown, or missing and must not be guessed.

    A bare number is assumed to be in the standard unit unless it cannot be: bilirubin 88 is in umol/L, temperature 101
    in F.
    """
    if number is None:
        return None
    if not unit:
        if analyte.missing == "never":
            return None
        if analyte.over and number > analyte.over[0]:
            return analyte.convert(number, analyte.over[1])
        if analyte.under and number < analyte.under[0]:
            return analyte.convert(number, analyte.under[1]) if number >= analyte.under[2] else None
        return analyte.convert(number, "f") if analyte.name == "temp" and number > 80 else number
    if unit == "g/l" and "g/l_cells" in analyte.units:  # G/L of platelets is giga, not gram
        return number
    return analyte.convert(number, unit) if analyte.units else number


_LAKH = re.compile(r"\d\.\d{1,2} ?L\b")  # "Plt 2.4L": whole counts have no decimal point
_CELLS = frozenset(("anc", "platelets", "wbc", "lymphocytes"))
_NONE_LEFT = re.compile(
    r"(?: count)?(?:\s?[:=]|\s(?:are|is|was|were|of|at|now|count))?\s(?P<zero>zero|nil)\b(?! [a-z]+ing)"
)

_IT_IS = re.compile(r"[\s,]*(?:it is|it was|it had been|is|:|at)?\s*")
_IT_WAS = re.compile(r"\bit (?:was|had been|has been|used to be)\s*$")


def _later_number(text: str, norm: str, tokens: list[Token], i: int, lab: Token) -> list[Finding]:
    """A number in the unit of the laboratory value named last: "TODAY it is 2.6 mg/dL", "it was 0.9 mg/dL"."""
    analyte, t = ANALYTES[lab.names[0]], tokens[i]
    if t.kind == "number":
        if (not t.unit or t.unit in analyte.units) and _IT_WAS.search(norm, max(0, t.start - 16), t.start):
            finding = _finding(text, t, analyte, Reading(t, "previous"), None)
            return [finding] if finding is not None else []
        return []
    for number in tokens[i + 1 : i + 3]:
        if number.kind == "number" and number.unit and number.unit in analyte.units:
            if _IT_IS.fullmatch(norm, t.end, number.start):
                finding = _finding(text, t, analyte, Reading(number), None)
                return [changed(finding, when="now")] if finding is not None else []
    return []
