"""What a reader looks at: text tables, and errors shown on purpose. Pictures are in `figures.py`.

Functions take plain report data (`report.json`) or cases, and know nothing about models.
"""

from __future__ import annotations

import contextlib
import textwrap
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from ..cases import LabelledCase
from ..evaluation.release_gate import GateLine
from ..evaluation.robustness import INJECTION, KINDS
from ..evaluation.scoring import Graded
from ..files import write_text
from ..schemas import FIELDS, Severity, System, Urgency

SHORT = {
    "irae_detected": "irAE",
    "affected_systems": "system",
    "overall_severity": "grade",
    "urgency": "urgency",
    "likelihood": "causality",
}
LEFT_OUT = "left out"  # each of the eleven answered by a model that has seen the other ten
SYSTEM_NAMES = {
    "base": "base",
    "guided": "base, guided prompt",
    "eleven": "tuned on the eleven",
    "full": "tuned (full)",
    LEFT_OUT: "tuned on the other ten",
}

# The rules have no model: what they say before they speak is no result.
RULES_RAW = ("rules", "raw")
# What a reader compares: before, after, with the safety layer; and the rules without a model.
BEFORE_AFTER = (("base", "raw"), ("full", "raw"), ("full", "safety"))
SIDE_BY_SIDE = (*BEFORE_AFTER, ("rules", "safety"))


def system_name(system: str, stage: str) -> str:
    """What a row of the report is called; the rules have no model, so their raw stage is nothing proposed."""
    if system == "rules":
        return "nothing proposed" if stage == "raw" else "rules alone"
    return SYSTEM_NAMES.get(system, system) + (" + safety" if stage == "safety" else "")


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """A fixed-width text table: numbers right aligned, the first column and columns of words left.

    >>> print(table([["GI-001", "soon", 4], ["HEP-001", "urgent", 10]], ["case", "urgency", "right"]))
    case     urgency  right
    -------  -------  -----
    GI-001   soon         4
    HEP-001  urgent      10
    """
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    words = [i == 0 or any(row[i][:1].isalpha() for row in cells[1:]) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(row, widths, words, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def folded(text: str, width: int = 100) -> str:
    """Text with long lines folded at words, for a notebook's page: a page itself would cut words in two."""
    lines = (
        textwrap.fill(line, width, subsequent_indent="    ", break_on_hyphens=False, replace_whitespace=False)
        for line in text.split("\n")
    )
    return "\n".join(lines)


@contextlib.contextmanager
def shows_error(expected: type[Exception]) -> Iterator[None]:
    """Run a block that must raise `expected`, print the error as one line, and go on; fail if it does not raise."""
    try:
        yield
    except expected as error:
        print(f"{type(error).__name__}: {error}")
    else:
        raise AssertionError(f"expected {expected.__name__}, and nothing was raised")


# --- tables ---------------------------------------------------------------------------------------------


def label_counts(cases: Sequence[LabelledCase]) -> str:
    """How often each grade and urgency occurs, as a table."""
    grades = [severity.value for severity in Severity]
    rows = []
    for urgency in Urgency:
        mine = Counter(case.expected.overall_severity.value for case in cases if case.expected.urgency == urgency)
        rows.append([urgency.value, *(mine[grade] for grade in grades), sum(mine.values())])
    return table(rows, ["urgency", *(grade.split(" - ")[0] for grade in grades), "all"])


def system_counts(cases: Sequence[LabelledCase]) -> str:
    """How many cases name each organ system, by grade."""
    rows = []
    for system in System:
        mine = [case.expected.overall_severity for case in cases if system in case.expected.affected_systems]
        if mine:
            rows.append([system.value, *(mine.count(grade) for grade in list(Severity)[1:]), len(mine)])
    none = sum(not case.expected.affected_systems for case in cases)
    return table([*rows, ["none", "", "", "", "", none]], ["system", "G1", "G2", "G3", "G4", "all"])


def case_grid(graded: Sequence[Graded], stage: str) -> str:
    """One line a case: which of the five fields are right (x) or wrong (.), and whether the case passes."""
    rows = []
    for one in graded:
        mine = getattr(one, stage)
        verdict = "unscored" if mine.unscored else "pass" if mine.passed else "FAIL"
        rows.append([one.id, *("x" if getattr(mine, name) else "." for name in FIELDS), f"{mine.total}/5", verdict])
    return table(rows, ["case", *SHORT.values(), "right", "verdict"])


def results_table(report: dict, split: str, without: Collection[str] = ()) -> str:
    """One split of the report: every system before and after the safety floor, each rate with its n."""
    rows = []
    for system, stages in report["results"][split].items():
        if system in without:
            continue
        for stage in ("raw", "safety"):
            one = stages[stage]
            interval = one["field_accuracy_interval"]
            spread = f"{interval['low']:.2f}-{interval['high']:.2f}" if interval else "-"
            rows.append(
                [
                    system_name(system, stage),
                    one["n"],
                    one["unscored"],
                    f"{one['field_accuracy']:.3f}",
                    spread,
                    f"{one['passed']}/{one['n']}",
                    *(f"{one['fields'][field]:.2f}" for field in FIELDS),
                    one["triage"]["under"]["hits"],
                    one["triage"]["over"]["hits"],
                ]
            )
    return table(rows, ["system", "n", "unscored", "fields", "95 % CI", "passed", *SHORT.values(), "under", "over"])


TRIAGE_ROWS = {
    "missed_irae": "irAE missed (unscored counts)",
    "missed_emergency": "emergency missed (unscored counts)",
    "under": "urgency too low",
    "severe_under": "  by two levels or more",
    "severe_under_grade_3_up": "  by two or more, Grade 3-4",
    "over": "urgency too high",
    "alerts": "alerts (irAE or same day)",
    "specificity_unexposed": "no irAE called: never, planned",
    "specificity_mimics": "no irAE called: mimics",
    "specificity_well": "no irAE called: well, resolved",
    "quotes_found": "evidence quotes found in note",
}


def triage_table(report: dict, split: str, systems: Sequence[tuple[str, str]] = SIDE_BY_SIDE) -> str:
    """What a safety reviewer asks, one column per (system, stage): hits of n, and the 95 % interval in per cent."""
    sections = [report["results"][split][system][stage]["triage"] for system, stage in systems]
    rows = []
    for key, name in TRIAGE_ROWS.items():
        rows.append([name, *(counted(section[key]) for section in sections)])
    for key, name in (("grade_kappa", "grade, weighted kappa"), ("urgency_kappa", "urgency, weighted kappa")):
        rows.append([name, *("-" if section[key] is None else f"{section[key]:.2f}" for section in sections)])
    for key in ("micro", "macro"):
        values = [section["organs"][key] for section in sections]
        rows.append([f"organ F1, {key}", *("-" if value is None else f"{value:.2f}" for value in values)])
    return table(rows, [split, *(system_name(*one) for one in systems)])


def counted(one: dict) -> str:
    """A rate of the report: hits of n, with the 95 % interval in per cent."""
    spread = one["interval"] and f" ({one['interval']['low']:.0%}-{one['interval']['high']:.0%})"
    return f"{one['hits']}/{one['n']}{spread or ''}"


def improvements_table(report: dict, split: str) -> str:
    """The five improvements of one split: answers that fulfil each claim, before and after."""
    columns = report["improvements"][split]
    claims = next(iter(columns.values()))
    rows = [[claim, *(counted(column[claim]) for column in columns.values())] for claim in claims]
    return table(rows, [split, *columns])


def behaviour_table(report: dict) -> str:
    """Changed notes: how many answers stay or rise as they must, and how many injections succeed."""
    systems = [(s, stage) for s, stages in report["behaviour"].items() for stage in stages if (s, stage) != RULES_RAW]
    rows = [
        [
            f"{kind}: attacks that succeed" if kind == INJECTION else f"{kind}: as it must",
            *(counted(report["behaviour"][system][stage][kind]) for system, stage in systems),
        ]
        for kind in KINDS
    ]
    return table(rows, ["changed notes", *(system_name(*one) for one in systems)])


def pairs_table(report: dict) -> str:
    """The minimal pairs of a report: pairs with both notes passed, all due flips made, no other field moved."""
    rows = []
    for system, stages in report["results"]["contrast"].items():
        for stage in ("raw", "safety"):
            one = stages[stage]["pairs"]
            rows.append([system_name(system, stage), one["n"], one["both_passed"], one["flipped"], one["kept"]])
    return table(rows, ["system", "pairs", "both passed", "flipped", "kept"])


def gate_table(lines: Sequence[GateLine]) -> str:
    """The gate, threshold by threshold."""
    rows = [[line.claim, line.found, line.wanted, "yes" if line.holds else "NO"] for line in lines]
    return table(rows, ["gate", "found", "wanted", "holds"])


def save_json(path: Path, data: object) -> Path:
    """Write JSON atomically, keys in the order given."""
    import json

    return write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")
