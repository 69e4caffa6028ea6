"""What a reader looks at: text tables, figures, and errors shown on purpose.

Figures are matplotlib, colour-blind safe, and never the only place where a number stands: each has a table
beside it. Functions take plain report data (`report.json`) or cases, and know nothing about models.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from .cases import LabelledCase, write_text
from .evaluation import Graded
from .schemas import FIELDS, Severity, System, Urgency

# Okabe-Ito; matplotlib 3.10 (Colab) does not know it by name.
BLUE, ORANGE, GREEN, AMBER, SKY, PINK = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7"
SHORT = {
    "irae_detected": "irAE",
    "affected_systems": "system",
    "overall_severity": "grade",
    "urgency": "urgency",
    "likelihood": "causality",
}
SYSTEM_NAMES = {"base": "base", "eleven": "tuned on the eleven", "full": "tuned (full)"}


def system_name(system: str, stage: str) -> str:
    """What a row of the report is called; the rules have no model, so their raw stage is nothing proposed."""
    if system == "rules":
        return "nothing proposed" if stage == "raw" else "rules alone"
    return SYSTEM_NAMES.get(system, system) + (" + safety" if stage == "safety" else "")


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """A fixed-width text table: first column left, the others right aligned."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


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


def results_table(report: dict, split: str) -> str:
    """One split of the report: every system before and after the safety floor, each rate with its n."""
    rows = []
    for system, stages in report["results"][split].items():
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
                    one["under_triaged"],
                    one["over_triaged"],
                ]
            )
    return table(rows, ["system", "n", "unscored", "fields", "95 % CI", "passed", *SHORT.values(), "under", "over"])


def pairs_table(report: dict) -> str:
    """The minimal pairs of a report: pairs with both notes passed, all due flips made, no other field moved."""
    rows = []
    for system, stages in report["results"]["contrast"].items():
        for stage in ("raw", "safety"):
            one = stages[stage]["pairs"]
            rows.append([system_name(system, stage), one["n"], one["both_passed"], one["flipped"], one["kept"]])
    return table(rows, ["system", "pairs", "both passed", "flipped", "kept"])


# --- figures --------------------------------------------------------------------------------------------


def _axes(width: float = 6.0, height: float = 3.5, columns: int = 1):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, columns, figsize=(width, height), layout="constrained")
    for one in axes if columns > 1 else [axes]:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def loss_figure(curves: dict[str, list[dict[str, float]]], title: str):
    """Training loss over updates, one line a curve (colour and line style), with a running mean."""
    figure, axes = _axes()
    for (name, curve), color, style in zip(curves.items(), (BLUE, ORANGE, GREEN), ("-", "--", "-."), strict=False):
        steps, losses = [point["update"] for point in curve], [point["loss"] for point in curve]
        window = max(1, len(losses) // 40)
        smooth = [
            sum(losses[max(0, i - window + 1) : i + 1]) / len(losses[max(0, i - window + 1) : i + 1])
            for i in range(len(losses))
        ]
        axes.plot(steps, losses, color=color, alpha=0.2, linewidth=0.8)
        axes.plot(steps, smooth, color=color, linestyle=style, marker="o" if len(steps) < 15 else None, label=name)
    axes.set(xlabel="update", ylabel="loss, nats per answer token", title=title, yscale="log")
    axes.legend(frameon=False)
    return figure


def length_figure(lengths: Sequence[int], limit: int):
    """Histogram of tokens per training row, with the limit beyond which nothing is trained."""
    figure, axes = _axes(height=3)
    axes.hist(lengths, bins=30, color=BLUE)
    axes.axvline(limit, color=ORANGE, linestyle="--", label=f"max_length {limit}")
    axes.set(xlabel="tokens (prompt, note and answer)", ylabel="cases", title="Length of the training rows")
    axes.legend(frameon=False)
    return figure


def label_figure(cases: Sequence[LabelledCase], title: str):
    """Cases by organ system, stacked by grade."""
    figure, axes = _axes()
    systems = [system for system in System if any(system in case.expected.affected_systems for case in cases)]
    names = [system.value for system in systems] + ["no irAE"]
    left = [0] * len(names)
    for grade, color in zip(Severity, ("#BBBBBB", SKY, BLUE, AMBER, ORANGE), strict=True):
        mine = [case.expected for case in cases if case.expected.overall_severity == grade]
        counts = [sum(system in label.affected_systems for label in mine) for system in systems]
        counts.append(sum(not label.affected_systems for label in mine))
        axes.barh(names, counts, left=left, color=color, label=grade.value.split(" - ")[0])
        left = [a + b for a, b in zip(left, counts, strict=True)]
    axes.invert_yaxis()
    axes.set(xlabel="cases", title=title)
    axes.legend(frameon=False, fontsize=9)
    return figure


def grid_figure(columns: dict[str, Sequence[Graded]], stage: str, title: str):
    """The per-case grid side by side for several systems: dot is right, cross is wrong, bold is a pass.

    "none" marks an unscored answer: nothing that could be read.
    """
    figure, axes = _axes(width=2.3 + 2.1 * len(columns), height=4.2, columns=max(2, len(columns)))
    for one in axes[len(columns) :]:
        one.set_visible(False)
    for i, (name, graded) in enumerate(columns.items()):
        one = axes[i]
        for y, row in enumerate(graded):
            mine = getattr(row, stage)
            for x, field in enumerate(FIELDS):
                right = getattr(mine, field)
                one.scatter(x, y, s=70, marker="o" if right else "x", color=BLUE if right else ORANGE)
            one.text(
                len(FIELDS) - 0.4,
                y,
                "none" if mine.unscored else f"{mine.total}/5",
                va="center",
                fontsize=9,
                weight="bold" if mine.passed else "normal",
            )
        one.set_xticks(range(len(FIELDS)), SHORT.values(), rotation=60, ha="right", fontsize=9)
        one.set_yticks(range(len(graded)), [row.id for row in graded] if i == 0 else [], fontsize=9)
        one.set(title=name, xlim=(-0.6, len(FIELDS) + 0.7))
        one.title.set_fontsize(10)
        one.invert_yaxis()
    figure.suptitle(title, fontsize=11)
    return figure


def accuracy_figure(report: dict, split: str, title: str):
    """Accuracy per field for every system of one split after the safety floor, with the raw value as a mark."""
    figure, axes = _axes(width=7)
    systems = report["results"][split]
    names = [*FIELDS, "all five"]
    width = 0.8 / len(systems)
    for i, ((system, stages), color, hatch) in enumerate(
        zip(systems.items(), (AMBER, "#999999", SKY, BLUE), ("xx", "//", "..", ""), strict=False)
    ):

        def values(stage, stages=stages):
            return [*(stages[stage]["fields"][field] for field in FIELDS), stages[stage]["field_accuracy"]]

        x = [position + i * width for position in range(len(names))]
        axes.bar(
            x,
            values("safety"),
            width,
            color=color,
            hatch=hatch,
            edgecolor="white",
            label=system_name(system, "safety"),
        )
        if system != "rules":
            axes.scatter(x, values("raw"), marker="_", s=90, color="black", zorder=3)
    axes.set_xticks(
        [position + 0.4 - width / 2 for position in range(len(names))], [SHORT.get(name, name) for name in names]
    )
    n = next(iter(systems.values()))["raw"]["n"]
    axes.set(ylim=(0, 1.02), ylabel="share right", title=f"{title} (n = {n})")
    axes.scatter([], [], marker="_", s=90, color="black", label="before the safety layer")
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def shown(figure):
    """The figure as a cell's last value: drawn there once, and not a second time by the inline backend."""
    import matplotlib.pyplot as plt

    plt.close(figure)
    return figure


def save_figure(figure, path: Path) -> Path:
    """Save as PNG (144 dpi) and close; makes the folder."""
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=144)
    plt.close(figure)
    return path


def save_json(path: Path, data: object) -> Path:
    """Write JSON atomically, keys in the order given."""
    import json

    return write_text(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")
