"""Can the data set be solved by keywords? A bag-of-words baseline against the tuned rehearsal model.

One logistic regression per field over word and bigram counts, trained on the training split, scored on the held-out
test and on the minimal pairs by the rules of every other system. Needs scikit-learn (tests/requirements-extra.txt).

    python tests/tools/bag_of_words.py [--seed 7] [--detail short]
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from irae_lib.cases import LabelledCase, validated_cases
from irae_lib.evaluation.report import StageSummary, summarize_arm
from irae_lib.evaluation.scoring import grade_answers
from irae_lib.model.answers import Answer
from irae_lib.schemas import Assessment
from irae_lib.synthesis.splits import make_splits


def targets(case: LabelledCase) -> dict[str, str]:
    """The five fields as classes; a set of organs is one class, as it is scored."""
    label = case.expected
    return {
        "irae_detected": str(label.irae_detected),
        "affected_systems": ";".join(sorted(system.value for system in label.affected_systems)),
        "overall_severity": label.overall_severity.value,
        "urgency": label.urgency.value,
        "likelihood": label.causality.likelihood.value,
    }


def predict(train: list[LabelledCase], cases: list[LabelledCase]) -> list[Assessment]:
    """What the baseline says about `cases`, as assessments without evidence."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    words = CountVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)[\w.]+", binary=True, min_df=2)
    seen = words.fit_transform(case.case.text for case in train)
    asked = words.transform(case.case.text for case in cases)
    said = {}
    for field in targets(train[0]):
        model = LogisticRegression(C=10.0, max_iter=2000)
        said[field] = model.fit(seen, [targets(case)[field] for case in train]).predict(asked)
    return [
        Assessment(
            irae_detected=said["irae_detected"][i] == "True",
            affected_systems=tuple(filter(None, said["affected_systems"][i].split(";"))),
            overall_severity=said["overall_severity"][i],
            urgency=said["urgency"][i],
            causality={"likelihood": said["likelihood"][i]},
        )
        for i in range(len(cases))
    ]


def baseline(splits: dict[str, list[LabelledCase]]) -> dict[str, StageSummary]:
    """The rates of the baseline on test and contrast; it has no safety layer of its own."""
    train = splits["train"] + validated_cases()
    out = {}
    for name in ("test", "contrast"):
        answers = [Answer(text="", assessment=one) for one in predict(train, splits[name])]
        out[name] = summarize_arm(splits[name], grade_answers(splits[name], answers)).raw
    return out


def main() -> None:
    """Print both sections."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--detail", choices=("short", "full"), default="short")
    options = parser.parse_args()
    if not importlib.util.find_spec("sklearn"):
        raise SystemExit("scikit-learn is missing: pip install -r tests/requirements-extra.txt")
    splits = make_splits(options.seed, train=1000, calibration=150, test=300, pairs=100, detail=options.detail)
    for name, one in baseline(splits).items():
        pairs = f", pairs both passed {one.pairs.both_passed}/{one.pairs.n}" if one.pairs else ""
        print(f"{name}: fields {one.field_accuracy:.3f}, case pass {one.passed}/{one.n}{pairs}")


if __name__ == "__main__":
    main()
