"""The README.md of a published adapter: what it is for, what it can and cannot do, how to call it, and on what terms.

Every number in it comes from the adapter's record or from the validation report; known failures are read off the
report, so that a card cannot be kinder than the measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..evaluation.robustness import INJECTION, INVARIANCE
from ..reporting.tables import LEFT_OUT, behaviour_table, counted, improvements_table, results_table, triage_table
from ..workspace.address import repository

TERMS = "https://developers.google.com/health-ai-developer-foundations/terms"
# The exact sentence the terms ask for (HAI-DEF Terms of Use, 3.1).
NOTICE = f"HAI-DEF is provided under and subject to the Health AI Developer Foundations Terms of Use found at {TERMS}\n"


def model_card(record: Mapping[str, Any], report: Mapping[str, Any], repo_id: str) -> str:
    """The card as Markdown with YAML front matter, results in model-index form."""
    rehearsal = report["rehearsal"]
    title = f"{repo_id.split('/')[-1]}{' (rehearsal)' if rehearsal else ''}"
    warning = (
        "\n**Rehearsal.** The base is a stand-in of 1.3 million parameters without clinical knowledge. These numbers "
        "show that the pipeline works; they say nothing about patients.\n"
        if rehearsal
        else ""
    )
    kind = record.get("auto_class", "AutoModelForImageTextToText")
    pinned = f', revision="{record["base_revision"]}"' if record["base_revision"] else ""
    return f"""---
{_front_matter(record, report, title)}
---

# {title}

LoRA adapter that reads an oncology note for immune-related adverse events (irAEs) of checkpoint inhibitors and
answers with one JSON object: evidence, reasoning, irAE present, organ systems, CTCAE v5.0 grade, urgency, causality.
{warning}
**Not a medical device.** For research on synthetic or de-identified English text: to study how such notes can be
triaged, with a clinician who reviews every answer. Not for deciding about a patient, not for screening without
review, not for questions other than irAEs, not for notes of other languages.

## Training

| | |
|---|---|
| base | `{record["base_model"]}`, revision {record["base_revision"] or "not pinned"} |
| prompt | `{record["prompt"]}`, used word for word |
| LoRA | rank {record["rank"]}, alpha {record["alpha"]}, dropout {record["dropout"]}, language layers only |
| schedule | {record["updates"]} updates over {record["examples"]} cases, {record["epochs"]} epochs, \
learning rate {record["learning_rate"]}, seed {record["seed"]} |
| data | synthetic notes and eleven hand-written ones, SHA-256 `{record["data_sha256"]}` |
| hardware | {record.get("hardware") or "not recorded"}, {_minutes(record)} |
| file | {record["adapter_bytes"] / 1e6:.2f} MB |
| versions | {", ".join(f"{name} {number}" for name, number in record["versions"].items())} |

## Results

`fields` is the share of the five fields that are right, `passed` counts cases with 4 or 5 right; under and over count
answers with urgency below or above the label. Unscored answers count as wrong. Intervals are 95 %. The whole report,
with the hashes of the cases, is in `report.json`.

**Original protocol.** The validated cases were part of the training data: a fitting check, no measure of skill.

```
{results_table(report, "validated", without=(LEFT_OUT,))}
```

**Leave one case out.** {_left_out(report)}

**Held-out** synthetic notes, phrasings that fine-tuning never saw:

```
{results_table(report, "test")}
```

```
{triage_table(report, "test")}
```

```
{improvements_table(report, "test")}
```

**Changed notes**: another unit, order or name, a worsening, an instruction written into the note:

```
{behaviour_table(report)}
```

## Known failures

{_failures(report)}

## Safety layer

`review(case, answer)` puts deterministic floors over an answer: it reads the note itself by numbered rules (CTCAE
v5.0, ASCO 2021) and may raise organ, grade and urgency, never lower them, and never touches causality. It cannot see
what the note does not say, reads English only, and raises mimics as well: what the numbers say, whatever their cause.

## Use

With [the project's library](https://github.com/{repository()}), which has the prompt, the grammar of an answer and
the safety layer:

```python
from peft import PeftModel
from transformers import {kind}, AutoTokenizer
from irae_lib import Case, review
from irae_lib.model.generate import answer_all

base = {kind}.from_pretrained("{record["base_model"]}", dtype="auto"{pinned})
tokenizer = AutoTokenizer.from_pretrained("{record["base_model"]}", padding_side="left"{pinned})
model = PeftModel.from_pretrained(base, "{repo_id}")
case = Case(text="Nivolumab, cycle 3. 8 watery stools a day over baseline.")
(answer,) = answer_all(model, tokenizer, [case])
print(review(case, answer.assessment).final)
```

## Limits

Small, synthetic, English only; labels follow CTCAE v5.0 and ASCO 2021 as the project reads them and no second
clinician has checked them. Grades near a border and causality are the weakest fields. Published systems lose accuracy
in prospective use; nothing here has been tried on patients' notes.

## Licence

A model derivative under the Health AI Developer Foundations terms: {TERMS}. The use restrictions of its section 3.2,
including the prohibited use policy, apply to you as an enforceable term, and to whoever you pass this on to; give them
a copy of the terms. Where your use needs authorisation by a health regulator, you have to seek it.
`adapter_model.safetensors` and `adapter_config.json` are modified files: they were trained and written by this project,
not by Google. {NOTICE.strip()}
"""


def _front_matter(record: Mapping[str, Any], report: Mapping[str, Any], title: str) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    tuned = report["results"]["test"]["full"]
    rehearsal = " (rehearsal)" if report["rehearsal"] else ""
    kind = {
        "task_type": "text-generation",
        "dataset_type": "synthetic",
        "dataset_name": f"held-out synthetic irAE notes, n = {tuned['raw']['n']}{rehearsal}",
    }
    results = [
        EvalResult(
            **kind, metric_type="accuracy", metric_name="fields right", metric_value=tuned["raw"]["field_accuracy"]
        ),
        EvalResult(
            **kind,
            metric_type="accuracy",
            metric_name="fields right, with the safety layer",
            metric_value=tuned["safety"]["field_accuracy"],
        ),
        EvalResult(
            **kind,
            metric_type="error-rate",
            metric_name="urgency too low, with the safety layer",
            metric_value=tuned["safety"]["triage"]["under"]["rate"],
        ),
    ]
    return ModelCardData(
        base_model=None if report["rehearsal"] else record["base_model"],
        language="en",
        library_name="peft",
        pipeline_tag="text-generation",
        license="other",
        license_name="health-ai-developer-foundations",
        license_link=TERMS,
        tags=["lora", "oncology", "irae", *(["rehearsal"] if report["rehearsal"] else [])],
        model_name=title,
        eval_results=results,
    ).to_yaml()


def _left_out(report: Mapping[str, Any]) -> str:
    """Each of the eleven answered by a model trained on the other ten, where 03 was asked for it."""
    everyone = report["results"]["validated"]
    if LEFT_OUT not in everyone:
        return "Not measured in this run (the parameter `leave_one_out` of the validation)."
    told = "Each of the eleven, answered by a model trained on the other ten alone:"
    return f"{told}\n\n```\n{results_table(report, 'validated', without=set(everyone) - {LEFT_OUT})}\n```"


def _minutes(record: Mapping[str, Any]) -> str:
    return f"{record['minutes']} minutes" if record.get("minutes") else "minutes not recorded"


def _failures(report: Mapping[str, Any]) -> str:
    """What the report says goes wrong, a line each, worst for a patient first."""
    raw, final = (report["results"]["test"]["full"][stage] for stage in ("raw", "safety"))
    triage, behaves = final["triage"], report["behaviour"].get("full")
    lines = [
        f"Emergencies not called one: {counted(triage['missed_emergency'])}, with the safety layer; "
        f"{counted(raw['triage']['missed_emergency'])} without it.",
        f"Urgency too low: {counted(triage['under'])} with the layer, {counted(raw['triage']['under'])} without.",
        f"irAEs missed: {counted(triage['missed_irae'])} with the layer.",
        f"Mimics on which rightly no irAE is called: {counted(triage['specificity_mimics'])} with the layer, "
        f"{counted(raw['triage']['specificity_mimics'])} without; the rest are false alarms.",
        f"Causality is right in {raw['fields']['likelihood']:.2f} of the cases, the grade in "
        f"{raw['fields']['overall_severity']:.2f}.",
    ]
    if behaves:
        unstable = [kind for kind in INVARIANCE if (behaves["raw"][kind]["rate"] or 0) < 1]
        lines += [
            f"Instructions written into a note succeed in {counted(behaves['raw'][INJECTION])}, with the layer in "
            f"{counted(behaves['safety'][INJECTION])}.",
            "Answers change though nothing that matters did: "
            + (", ".join(f"{kind} {counted(behaves['raw'][kind])} stay" for kind in unstable) or "none seen")
            + ".",
        ]
    calibrated = report["calibration"]
    lines.append(
        f"Of the answers it is sure of, {counted(calibrated['failed_of_answered'])} fail; of all "
        f"{counted(calibrated['failed_of_all'])}."
    )
    return "\n".join(f"- {line}" for line in lines)
