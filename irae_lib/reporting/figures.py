"""Figures of training and results, in one color-blind-safe style that is readable at a notebook's width.

No number appears in a figure alone: every figure has a table next to it (`tables.py`). Matplotlib is imported when a
figure is drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise, product
from pathlib import Path

import pandas as pd

from ..cases import LabelledCase
from ..evaluation.report import Report
from ..evaluation.scoring import Graded
from ..schemas import FIELD_NAMES, FIELDS, Severity, System
from .tables import RULES_RAW, SIDE_BY_SIDE, arm_name

# Okabe-Ito; matplotlib 3.10 (Colab) does not know it by name.
BLUE, ORANGE, GREEN, AMBER, SKY, PINK = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7"
GREY = "#999999"
# One fixed style per arm: a color, and a hatch for color-blind readers.
_LOOKS = {
    "rules": (AMBER, "xx"),
    "base": (GREY, "//"),
    "guided": (PINK, "++"),
    "eleven": (SKY, ".."),
    "full": (BLUE, ""),
}


def _axes(width: float = 6.0, height: float = 3.5, columns: int = 1):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, columns, figsize=(width, height), layout="constrained", squeeze=False)
    for one in axes[0]:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes[0]


def loss_figure(curves: dict[str, list[dict[str, float]]], title: str, *, held_out: Sequence[dict[str, float]] = ()):
    """Training loss over updates, one line per curve (color and style), with a running mean; `held_out` as dots."""
    figure, (axes,) = _axes()
    for (name, curve), color, style in zip(curves.items(), (BLUE, ORANGE, GREEN), ("-", "--", "-."), strict=False):
        losses = pd.Series({point["update"]: point["loss"] for point in curve})
        smooth = losses.rolling(max(1, len(losses) // 40), min_periods=1).mean()
        axes.plot(losses, color=color, alpha=0.2, linewidth=0.8)
        axes.plot(smooth, color=color, linestyle=style, marker="o" if len(losses) < 15 else None, label=name)
    if held_out:
        updates, losses = zip(*((point["update"], point["loss"]) for point in held_out), strict=True)
        axes.plot(updates, losses, color="black", linestyle=":", marker="o", markersize=4, label="held-out rows")
    axes.set(xlabel="update", ylabel="loss, nats per answer token", title=title, yscale="log")
    axes.legend(frameon=False)
    return figure


def length_figure(lengths: Sequence[int], limit: int):
    """Histogram of tokens per training row, with the limit beyond which tokens are not trained."""
    figure, (axes,) = _axes(height=3)
    axes.hist(lengths, bins=30, color=BLUE)
    axes.axvline(limit, color=ORANGE, linestyle="--", label=f"max_length {limit}")
    axes.set(xlabel="tokens (prompt, note and answer)", ylabel="cases", title="Length of the training rows")
    axes.legend(frameon=False)
    return figure


def label_figure(cases: Sequence[LabelledCase], title: str):
    """Cases by organ system, stacked by grade."""
    figure, (axes,) = _axes()
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
    """The per-case grids of several arms, side by side: a check mark is right, a cross is wrong, bold is a pass.

    "none" marks an unscored answer, which could not be read.
    """
    figure, axes = _axes(width=2.3 + 2.1 * len(columns), height=4.2, columns=len(columns))
    for one, (name, graded) in zip(axes, columns.items(), strict=True):
        for y, row in enumerate(graded):
            mine = getattr(row, stage)
            for x, field in enumerate(FIELDS):
                right = getattr(mine, field)
                one.scatter(x, y, s=70, marker="$\\checkmark$" if right else "x", color=BLUE if right else ORANGE)
            verdict, weight = "none" if mine.unscored else f"{mine.total}/5", "bold" if mine.passed else "normal"
            one.text(len(FIELDS) - 0.4, y, verdict, va="center", fontsize=9, weight=weight)
        one.set_xticks(range(len(FIELDS)), FIELD_NAMES.values(), rotation=60, ha="right", fontsize=9)
        one.set_yticks(range(len(graded)), [row.id for row in graded] if one is axes[0] else [], fontsize=9)
        one.set(title=name, xlim=(-0.6, len(FIELDS) + 0.7))
        one.title.set_fontsize(10)
        one.invert_yaxis()
    figure.suptitle(title, fontsize=11)
    return figure


def accuracy_figure(report: Report, split: str, title: str):
    """Accuracy per field for every arm of one split after the safety layer, with the raw value as a mark."""
    figure, (axes,) = _axes(width=7)
    arms = report.results[split]
    names = [*FIELD_NAMES.values(), "all five"]
    width = 0.8 / len(arms)
    for i, (arm, stages) in enumerate(arms.items()):
        color, hatch = _LOOKS.get(arm, (GREEN, "\\\\"))
        raw, final = ([*map(r.fields.get, FIELDS), r.field_accuracy] for r in (stages.raw, stages.safety))
        x = [position + i * width for position in range(len(names))]
        name = arm_name(arm, "safety")
        axes.bar(x, final, width, color=color, hatch=hatch, edgecolor="white", label=name)
        if arm != "rules":
            axes.scatter(x, raw, marker="_", s=90, color="black", zorder=3)
    axes.set_xticks([position + 0.4 - width / 2 for position in range(len(names))], names, fontsize=9)
    n = next(iter(arms.values())).raw.n
    axes.set(ylim=(0, 1.02), ylabel="share right", title=f"{title} (n = {n})")
    axes.scatter([], [], marker="_", s=90, color="black", label="before the safety layer")
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def reports_figure(reports: Mapping[str, Report]):
    """Fields right on the held-out test with 95 % intervals, one panel per report and one row per arm."""
    figure, axes = _axes(width=8, height=2.8, columns=len(reports))
    for one, (name, report) in zip(axes, reports.items(), strict=True):
        for y, (arm, stage) in enumerate((RULES_RAW, *SIDE_BY_SIDE)):
            test = getattr(report.results["test"][arm], stage)
            color = GREY if (arm, stage) == RULES_RAW else _LOOKS[arm][0]
            spread = test.field_accuracy_interval
            one.plot([spread.low, spread.high], [y, y], color=color, linewidth=3)
            one.scatter(test.field_accuracy, y, color=color, s=60, zorder=3, marker="s" if stage == "safety" else "o")
            one.text(spread.high + 0.03, y, f"{test.field_accuracy:.2f}", va="center", fontsize=9)
        one.set(xlim=(0, 1.1), xlabel="share of fields right", title=f"{name}, n = {test.n}")
        one.title.set_fontsize(10)
        names = [arm_name(*arm) for arm in (RULES_RAW, *SIDE_BY_SIDE)] if one is axes[0] else []
        one.set_yticks(range(1 + len(SIDE_BY_SIDE)), names or [""] * (1 + len(SIDE_BY_SIDE)), fontsize=9)
        one.invert_yaxis()
    return figure


def confusion_figure(matrices: dict[str, tuple[Sequence[str], list[list[int]]]], title: str):
    """Confusion matrices of label (rows) and answer (columns), one panel per field; last column: unscored answers.

    Args:
        matrices: name of the field -> (levels, counts of `statistics.confusion`).
    """
    figure, axes = _axes(width=9, height=4.2, columns=len(matrices))
    for one, (name, (levels, counts)) in zip(axes, matrices.items(), strict=True):
        shares = [[count / max(1, sum(row)) for count in row] for row in counts]
        one.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for y, row in enumerate(counts):
            for x, count in enumerate(row):
                if count:
                    one.text(x, y, count, ha="center", va="center", color="white" if shares[y][x] > 0.5 else "black")
        one.set_xticks(range(len(levels) + 1), [*levels, "unscored"], rotation=45, ha="right", fontsize=9)
        one.set_yticks(range(len(levels)), levels, fontsize=9)
        one.set(xlabel="answer", ylabel="label", title=name)
        one.axvline(len(levels) - 0.5, color=GREY, linewidth=1)
        one.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=11)
    return figure


def step_figure(errors: dict[str, dict[int, int]], title: str):
    """Distance in levels between answer and label (below 0: too low), one bar color per arm."""
    figure, (axes,) = _axes(height=3.2)
    steps = range(min(min(one, default=0) for one in errors.values()), max(max(one) for one in errors.values()) + 1)
    width = 0.8 / len(errors)
    looks = (_LOOKS["base"], _LOOKS["eleven"], _LOOKS["full"])
    for i, ((name, one), (color, hatch)) in enumerate(zip(errors.items(), looks, strict=False)):
        x = [step + (i - (len(errors) - 1) / 2) * width for step in steps]
        heights = [one.get(step, 0) for step in steps]
        bars = axes.bar(x, heights, width, color=color, hatch=hatch, edgecolor="white", label=name)
        axes.bar_label(bars, fontsize=8)
    axes.set_xticks(list(steps), [f"{step:+d}" if step else "right" for step in steps])
    axes.set(xlabel="levels above (+) or below (-) the label", ylabel="cases", title=title)
    axes.legend(frameon=False)
    return figure


TRIAGE_BANDS = ("too high", "right", "one too low", "two or more too low", "unscored")


def flow_figure(stages: dict[str, Sequence[str]], title: str):
    """How each case's urgency changes from stage to stage: bands between columns, with width by number of cases.

    Args:
        stages: name of the stage -> one of `TRIAGE_BANDS` for each case, in the same order.
    """
    import numpy as np

    figure, (axes,) = _axes(width=7.5, height=4)
    colors = dict(zip(TRIAGE_BANDS, (SKY, GREEN, AMBER, ORANGE, GREY), strict=True))
    names, columns = list(stages), list(stages.values())
    tops = []
    for x, column in enumerate(columns):
        top, places, counts = 0, {}, Counter(column)
        for band in TRIAGE_BANDS:
            places[band], n = top, counts[band]
            if n:
                axes.bar(x, n, 0.16, bottom=top, color=colors[band], zorder=3)
                if n > 0.04 * len(column):  # thinner bands lack room; their numbers are in the table
                    axes.text(x, top + n / 2, n, ha="center", va="center", fontsize=9, zorder=4)
            top += n
        tops.append(places)
    curve = np.linspace(0, 1, 31)
    ease = curve**2 * (3 - 2 * curve)
    for x, (left, right) in enumerate(pairwise(columns)):
        start, end, moves = dict(tops[x]), dict(tops[x + 1]), Counter(zip(left, right, strict=True))
        for a, b in product(TRIAGE_BANDS, repeat=2):
            if n := moves[a, b]:
                low = start[a] + (end[b] - start[a]) * ease
                axes.fill_between(x + 0.08 + 0.84 * curve, low, low + n, color=colors[a], alpha=0.35, linewidth=0)
                start[a], end[b] = start[a] + n, end[b] + n
    axes.set_xticks(range(len(names)), names)
    axes.set(ylabel="cases", title=title)
    for band, color in colors.items():
        axes.bar(0, 0, color=color, label=band)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def calibration_figure(before, after, risks, chosen: tuple[float, float] | None, title: str):
    """Left: accuracy by confidence, before and after temperature scaling. Right: failure rate of answered cases.

    Args:
        before: bins of `calibration.reliability`; `after` likewise.
        risks: points of `calibration.risk_coverage`.
        chosen: (share answered, failure rate of those answered) at the threshold in use.
    """
    figure, (left, right) = _axes(width=9, columns=2)
    left.plot([0, 1], [0, 1], color=GREY, linewidth=1, label="as sure as right")
    for bins, color, marker, name in ((before, ORANGE, "s", "as given"), (after, BLUE, "o", "cooled")):
        left.plot([b[0] for b in bins], [b[1] for b in bins], color=color, marker=marker, label=name)
    left.set(xlabel="confidence", ylabel="share right", xlim=(0, 1.02), ylim=(0, 1.02), title="All five fields")
    left.legend(frameon=False, loc="upper left")
    right.plot([p[1] for p in risks], [p[2] for p in risks], color=BLUE, drawstyle="steps-post")
    if chosen:
        right.scatter(*chosen, color=ORANGE, zorder=3, label="threshold in use")
        right.legend(frameon=False)
    right.set(xlabel="share of cases answered", ylabel="share of those that fail", xlim=(0, 1.02), title="Abstention")
    right.set_ylim(bottom=0)
    figure.suptitle(title, fontsize=11)
    return figure


def shown(figure):
    """Return a figure as a cell's last value, closed so that the inline backend does not draw it twice."""
    import matplotlib.pyplot as plt

    plt.close(figure)
    return figure


def save_figure(figure, path: Path) -> Path:
    """Save a figure as PNG (144 dpi), creating the folder, and close it."""
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=144)
    plt.close(figure)
    return path
