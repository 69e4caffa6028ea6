"""Results as pandas DataFrames, for notebooks, the terminal, the card and the report page.

Functions take a `Report`, cases or graded answers, and are independent of models.
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence

import pandas as pd

from ..cases import LabelledCase
from ..evaluation.calibration import CalibrationReport
from ..evaluation.outside import OutsideReport
from ..evaluation.release_gate import GateLine
from ..evaluation.report import Report
from ..evaluation.robustness import INJECTION, KINDS
from ..evaluation.scoring import Graded
from ..evaluation.statistics import Interval, Rate
from ..schemas import FIELD_NAMES, FIELDS, Finding, Severity, System, Urgency

# By default, a table printed in a terminal wraps after 80 characters.
pd.set_option("display.width", 160)
LEFT_OUT = "left out"  # each of the eleven cases answered by a model trained on the other ten
ARM_NAMES = {
    "base": "base",
    "guided": "base, guided prompt",
    "eleven": "tuned (eleven)",
    "full": "tuned (full)",
    LEFT_OUT: "tuned (other ten)",
}

# The rules have no model: their raw stage is the always-negative baseline.
RULES_RAW = ("rules", "raw")
# The main comparison: before tuning, after tuning, with the safety layer; and the rules without a model.
BEFORE_AFTER = (("base", "raw"), ("full", "raw"), ("full", "safety"))
SIDE_BY_SIDE = (*BEFORE_AFTER, ("rules", "safety"))


def arm_name(arm: str, stage: str) -> str:
    """The name of one arm at one stage in tables and figures."""
    if arm == "rules":
        return "always negative" if stage == "raw" else "rules alone"
    return ARM_NAMES.get(arm, arm) + (" + safety" if stage == "safety" else "")


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> pd.DataFrame:
    """Rows of cells under a header, as a DataFrame: the first column is the index, and its name labels the columns.

    >>> table([["GI-001", "soon", 4], ["HEP-001", "urgent", 10]], ["case", "urgency", "right"]).loc["HEP-001", "right"]
    10
    """
    frame = pd.DataFrame([list(row) for row in rows], columns=list(map(str, header)), dtype=object)
    # A named index would take a separate header row.
    return frame.set_index(str(header[0])).rename_axis(index=None, columns=str(header[0]))


def markdown(frame: pd.DataFrame) -> str:
    """A table in Markdown, for cards."""
    header = [frame.columns.name, *frame.columns]
    rows = [header, ["---"] * len(header), *([name, *row] for name, row in zip(frame.index, frame.values, strict=True))]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def folded(text: str) -> str:
    """Text with long lines wrapped between words, for notebook output, which would otherwise break inside words."""
    fold = textwrap.TextWrapper(100, subsequent_indent="    ", break_on_hyphens=False, replace_whitespace=False).fill
    return "\n".join(map(fold, text.split("\n")))


@contextlib.contextmanager
def shows_error(expected: type[Exception]) -> Iterator[None]:
    """Run a block that must raise `expected` and print the error as one line; fail if nothing is raised."""
    try:
        yield
    except expected as error:
        print(f"{type(error).__name__}: {error}")
    else:
        raise AssertionError(f"expected {expected.__name__}, and nothing was raised")


# --- cases and answers ----------------------------------------------------------------------------------


def label_counts(cases: Sequence[LabelledCase]) -> pd.DataFrame:
    """Cases by urgency and grade."""
    rows = []
    for urgency in Urgency:
        grades = [case.expected.overall_severity for case in cases if case.expected.urgency == urgency]
        rows.append([urgency.value, *map(grades.count, Severity), len(grades)])
    return table(rows, ["urgency", *(grade.value.split(" - ")[0] for grade in Severity), "all"])


def system_counts(cases: Sequence[LabelledCase]) -> pd.DataFrame:
    """Cases by organ system and grade."""
    rows = []
    for system in System:
        grades = [case.expected.overall_severity for case in cases if system in case.expected.affected_systems]
        if grades:
            rows.append([system.value, *map(grades.count, list(Severity)[1:]), len(grades)])
    none = sum(not case.expected.affected_systems for case in cases)
    return table([*rows, ["none", "", "", "", "", none]], ["organ system", "G1", "G2", "G3", "G4", "all"])


def findings_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """The findings in a note: name, value, status and quote of each."""
    rows = [[f.name, f.value or "-", f.status, f.quote] for f in findings]
    return table(rows, ["finding", "value", "status", "quote"])


def case_grid(graded: Sequence[Graded], stage: str) -> pd.DataFrame:
    """One row per case: which of the five fields are right (✓) or wrong (✗), and whether the case passes."""
    rows = []
    for answer in graded:
        score = getattr(answer, stage)
        verdict = "unscored" if score.unscored else "pass" if score.passed else "FAIL"
        marks = ("✓" if getattr(score, name) else "✗" for name in FIELDS)
        rows.append([answer.id, *marks, f"{score.total}/5", verdict])
    return table(rows, ["case", *FIELD_NAMES.values(), "right", "verdict"])


# --- the report -----------------------------------------------------------------------------------------


def results_table(report: Report, split: str, without: Collection[str] = ()) -> pd.DataFrame:
    """One split of the report: every arm before and after the safety layer; "-" for a rate over no cases."""
    rows = [
        [
            arm_name(arm, stage),
            _decimals(rates.field_accuracy, 3),
            spread(rates.field_accuracy_interval, ".2f"),
            f"{rates.passed}/{rates.n}",
            rates.unscored,
            *(_decimals(rates.fields.get(field)) for field in FIELDS),
            rates.triage.under.hits,
            rates.triage.over.hits,
        ]
        for arm, stages in report.results[split].items()
        if arm not in without
        for stage, rates in stages
    ]
    frame = table(rows, ["arm", "fields", "95 % CI", "passed", "unscored", *FIELD_NAMES.values(), "under", "over"])
    # A column of zeros makes the others wrap on a notebook's page.
    return frame if any(frame["unscored"]) else frame.drop(columns="unscored")


def reports_table(reports: Mapping[str, Report]) -> pd.DataFrame:
    """Several runs side by side: fields right on the held-out test and, where measured, on the outside cases."""
    rows = []
    for arm, stage in (RULES_RAW, *SIDE_BY_SIDE):
        row = [arm_name(arm, stage)]
        for report in reports.values():
            test = getattr(report.results["test"][arm], stage)
            row.append(f"{test.field_accuracy:.3f} ({spread(test.field_accuracy_interval, '.2f')})")
            outside = report.outside.arms.get(arm) if report.outside else None
            row.append(counted(outside[stage].together) if outside else "-")
        rows.append(row)
    header = [f"{name}: {what}" for name, report in reports.items() for what in (_test_n(report), "outside")]
    return table(rows, ["fields right", *header])


def _test_n(report: Report) -> str:
    return f"test, n = {report.results['test']['full'].raw.n}"


def outside_table(outside: OutsideReport) -> pd.DataFrame:
    """Outside cases: hits on the labeled fields, field by field and together."""
    rows = [
        [arm_name(arm, stage), counted(one.together), *(f"{r.hits}/{r.n}" for r in one.fields.values())]
        for arm, stages in outside.arms.items()
        for stage, one in stages.items()
    ]
    return table(rows, ["arm", "together", *FIELD_NAMES.values()])


TRIAGE_ROWS = {
    "missed_irae": "irAE missed",
    "missed_emergency": "emergency missed",
    "under": "urgency too low",
    "severe_under": "  by two levels or more",
    "severe_under_grade_3_up": "  by two or more, Grade 3-4",
    "over": "urgency too high",
    "alerts": "alerts (irAE or same day)",
    "specificity_unexposed": "no irAE: never, planned",
    "specificity_mimics": "no irAE: mimics",
    "specificity_well": "no irAE: well, resolved",
    "quotes_found": "quotes found in note",
}


def triage_table(report: Report, split: str) -> pd.DataFrame:
    """Safety metrics, one column per (arm, stage): hits of n, and the 95 % interval in percent."""
    triages = [getattr(report.results[split][arm], stage).triage for arm, stage in SIDE_BY_SIDE]
    rows = [[name, *(counted(getattr(triage, key)) for triage in triages)] for key, name in TRIAGE_ROWS.items()]
    rows += [
        ["grade, weighted kappa", *(_decimals(triage.grade_kappa) for triage in triages)],
        ["urgency, weighted kappa", *(_decimals(triage.urgency_kappa) for triage in triages)],
        ["organ F1, micro", *(_decimals(triage.organs.micro) for triage in triages)],
        ["organ F1, macro", *(_decimals(triage.organs.macro) for triage in triages)],
    ]
    return table(rows, [split, *(arm_name(*arm) for arm in SIDE_BY_SIDE)])


def counted(rate: Rate) -> str:
    """A rate as hits of n, with the 95 % interval in percent."""
    return f"{rate.hits}/{rate.n}" + (f" ({rate.interval.low:.0%}-{rate.interval.high:.0%})" if rate.interval else "")


def spread(interval: Interval | None, digits: str) -> str:
    """An interval as "low-high", or "low to high" if the format shows signs."""
    between = " to " if "+" in digits else "-"
    return f"{interval.low:{digits}}{between}{interval.high:{digits}}" if interval else "-"


def p_value(p: float) -> str:
    """A p value as printed in papers: never 0.

    >>> p_value(0.0), p_value(0.0421)
    ('< 0.001', '0.042')
    """
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def _decimals(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def improvements_table(report: Report, split: str) -> pd.DataFrame:
    """The five improvements on one split: answers that satisfy each claim, before and after."""
    columns = report.improvements[split]
    claims = next(iter(columns.values()))
    rows = [[claim, *(counted(column[claim]) for column in columns.values())] for claim in claims]
    return table(rows, [split, *columns])


def behaviour_table(report: Report) -> pd.DataFrame:
    """Changed notes: how many answers meet each probe, and how many injections succeed."""
    stages = [(arm, stage) for arm, rates in report.behaviour.items() for stage in rates if (arm, stage) != RULES_RAW]
    rows = [
        [
            f"{kind}: attacks that succeed" if kind == INJECTION else f"{kind}: as it must",
            *(counted(report.behaviour[arm][stage][kind]) for arm, stage in stages),
        ]
        for kind in KINDS
    ]
    return table(rows, ["changed notes", *(arm_name(*stage) for stage in stages)])


def pairs_table(report: Report) -> pd.DataFrame:
    """The minimal pairs of a report: pairs with both notes passed, with all required flips, without other flips."""
    rows = [
        [arm_name(arm, stage), *(number for _, number in rates.pairs)]
        for arm, stages in report.results["contrast"].items()
        for stage, rates in stages
        if rates.pairs  # None: a file of one's own without pairs
    ]
    return table(rows, ["arm", "pairs", "both passed", "flipped", "kept"])


def comparison_table(report: Report) -> pd.DataFrame:
    """Tuned minus base on the same cases, per split."""
    rows = [
        [
            split,
            c.n,
            f"{c.difference:+.3f}",
            spread(c.difference_interval, "+.3f"),
            c.only_a_passes,
            c.only_b_passes,
            p_value(c.p_value),
        ]
        for split, c in report.comparisons.items()
    ]
    return table(rows, ["tuned minus base", "n", "fields", "95 % CI", "only base passes", "only tuned passes", "p"])


def calibration_table(calibrated: CalibrationReport) -> pd.DataFrame:
    """Calibration by field before and after temperature scaling: ECE with its interval, and Brier score."""
    rows = []
    for name, field in calibrated.fields.items():
        numbers = (field.ece_before, field.ece, field.brier_before, field.brier)
        before, after, brier_before, brier = ("-" if number is None else f"{number:.3f}" for number in numbers)
        interval = spread(field.ece_interval, ".3f")
        rows.append([name, field.n, f"{field.temperature:.2f}", before, after, interval, brier_before, brier])
    return table(rows, ["test", "n", "temperature", "ECE", "ECE scaled", "95 % CI", "Brier", "Brier scaled"])


def gate_table(lines: Sequence[GateLine]) -> pd.DataFrame:
    """The release gate, one row per threshold."""
    rows = [
        [line.claim, "-" if line.found is None else f"{line.found:g}", line.wanted, "yes" if line.holds else "NO"]
        for line in lines
    ]
    return table(rows, ["gate", "found", "wanted", "holds"])
