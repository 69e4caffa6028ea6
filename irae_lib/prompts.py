"""The two prompts, their versions, and the messages built from them.

`guided` is the alternative to training: role, CTCAE and urgency rules, worked examples. `compact` is for the
fine-tuned model and is used word for word in training, validation and serving: an adapter remembers the
version it was trained with and refuses another. Any change of wording is a new version.

This module knows nothing about tokenizers; chat templates and special tokens belong to the model.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .errors import SchemaError
from .schemas import Assessment, Case, Likelihood, Severity, System, Urgency


def _listed(values) -> str:
    return ", ".join(values)


class Prompt(NamedTuple):
    """Instructions with a version; `examples` are (note, answer) pairs shown before the case."""

    version: str
    instructions: str
    examples: tuple[tuple[str, Assessment], ...] = ()


COMPACT = Prompt(
    version="compact-1",
    instructions=(
        "Read the oncology note. Is there an immune-related adverse event (irAE) of a checkpoint inhibitor? "
        "Answer with one JSON object: evidence (quotes), reasoning, irae_detected, affected_systems, "
        "overall_severity (CTCAE v5.0), urgency, causality.likelihood, actions."
    ),
)

_RULES = f"""You are an oncology pharmacist who reviews notes for immune-related adverse events (irAEs) of immune checkpoint inhibitors (ICIs).

Answer with one JSON object and nothing else. Keys, in this order:
- evidence: up to 6 short quotes, copied from the note word for word
- reasoning: two or three sentences, at most 600 characters
- irae_detected: true or false
- affected_systems: list of {_listed(System)}
- overall_severity: {_listed(Severity)}
- urgency: {_listed(Urgency)} (routine: next visit; soon: 1-3 days; urgent: same day; emergency: now)
- causality: {{"likelihood": one of {_listed(Likelihood)}}}
- actions: up to 6 short items (hold, work-up, whom to call); never a dose

Grade by CTCAE v5.0:
- Diarrhea, stools a day over baseline: below 4 Grade 1, 4-6 Grade 2, 7 or more Grade 3
- ALT or AST: above 1-3x ULN Grade 1, above 3-5x Grade 2, above 5-20x Grade 3, above 20x Grade 4
- Pneumonitis: imaging only Grade 1, symptoms Grade 2, oxygen needed Grade 3, ventilation Grade 4
- Hypothyroidism: asymptomatic Grade 1, symptomatic Grade 2. Low cortisol with severe symptoms Grade 3
- Suspected myocarditis with EF below 40 % or heart failure: Grade 4
- New seizure or encephalopathy: Grade 3; status epilepticus or coma: Grade 4

Urgency is never below these floors:
- Grade 2: soon. Grade 3: urgent. Grade 4: emergency
- Cardiac or Neurologic involvement: urgent
- Adrenal insufficiency or hypophysitis: urgent

Causality: Highly likely when timing and picture fit and other causes are excluded or a specific finding supports it; Possible when a work-up is pending or a rival cause exists; Unlikely when another cause explains the picture or the patient never had an ICI; Uncertain when exposure is not documented.
If no irAE is suspected: irae_detected false, affected_systems [], overall_severity Unknown, and urgency by the illness itself."""  # noqa: E501 - lines of the prompt, not of the code


def _example(
    note: str, evidence, reasoning: str, systems, grade: int, urgency: str, likelihood: str, actions
) -> tuple[str, Assessment]:
    return note, Assessment(
        evidence=tuple(evidence),
        reasoning=reasoning,
        irae_detected=bool(systems),
        affected_systems=tuple(systems),
        overall_severity=Severity.from_grade(grade),
        urgency=urgency,
        causality={"likelihood": likelihood},
        actions=tuple(actions),
    )


# Not among the eleven validated cases and not from the generator: the examples must never be an answer key.
_EXAMPLES = (
    _example(
        "Context: 63-year-old, cutaneous squamous cell carcinoma.\nMedications: cemiplimab q3w, cycle 5\n"
        "Symptoms: Itchy rash on trunk and both arms for ten days, about 20 % of body surface. No blisters, "
        "mouth and eyes clear, no fever.\nNotes: No new drug in two months.",
        ["about 20 % of body surface", "No blisters"],
        "Rash on 10-30 % of body surface: CTCAE Grade 2. Current cemiplimab, no other new drug.",
        [System.DERMATOLOGIC],
        2,
        "soon",
        "Highly likely",
        ["Hold decision with oncology", "Dermatology review this week"],
    ),
    _example(
        "Context: 59-year-old, renal cell carcinoma.\nMedications: ipilimumab + nivolumab, dose 2 three weeks ago; "
        "ibuprofen for back pain\nLabs: creatinine 4.4 mg/dL, baseline 1.0; potassium 5.2 mmol/L\n"
        "Symptoms: Less urine since Friday, ankle swelling.\nNotes: Ultrasound without obstruction.",
        ["creatinine 4.4 mg/dL, baseline 1.0", "ibuprofen for back pain"],
        "Creatinine above 3x baseline: CTCAE Grade 3. Current ipilimumab and nivolumab; ibuprofen is a rival cause.",
        [System.RENAL],
        3,
        "urgent",
        "Possible",
        ["Hold both ICIs", "Stop ibuprofen", "Nephrology today"],
    ),
    _example(
        "Context: 70-year-old, bladder cancer.\nMedications: avelumab maintenance, cycle 9\n"
        "Symptoms: Burning on passing urine for two days, temperature 37.9 C. No cough, bowels normal.\n"
        "Notes: Urine culture grew E. coli, sensitive to the oral antibiotic started yesterday.",
        ["Urine culture grew E. coli"],
        "Culture-proven urinary infection explains the picture; nothing else points to an irAE of avelumab.",
        [],
        0,
        "soon",
        "Unlikely",
        ["Finish treatment of the infection", "Recheck before the next dose"],
    ),
    _example(
        "Context: 66-year-old, hepatocellular carcinoma.\nMedications: tremelimumab x1, durvalumab monthly\n"
        "Symptoms: Two days of drooping eyelids and double vision, now short of breath lying flat and cannot clear "
        "secretions.\nNotes: Forced vital capacity 38 % of predicted. CK and troponin sent.",
        ["short of breath lying flat", "Forced vital capacity 38 % of predicted"],
        "Myasthenic picture with respiratory weakness: Grade 4. Current durvalumab after tremelimumab.",
        [System.NEUROLOGIC],
        4,
        "emergency",
        "Highly likely",
        ["Stop the ICI", "Intensive care and neurology now", "Screen for myocarditis"],
    ),
)

GUIDED = Prompt(version="guided-1", instructions=_RULES, examples=_EXAMPLES)

PROMPTS = {prompt.version: prompt for prompt in (COMPACT, GUIDED)}


def get_prompt(name: str) -> Prompt:
    """The prompt called `name`: a version ("compact-1") or a kind ("compact", "guided").

    Raises:
        SchemaError: no such prompt; an adapter trained with a version this library does not have.
    """
    found = PROMPTS.get(name) or {"compact": COMPACT, "guided": GUIDED}.get(name)
    if found is None:
        raise SchemaError(f"prompt {name!r} is not known here; known are {_listed(PROMPTS)}")
    return found


# Gemma's control tokens, written into a note, would become real turns. A look-alike bracket keeps the text
# readable for a person and harmless for the tokenizer; the safety layer always reads the note itself.
_CONTROL = re.compile(
    r"<(?=/?(?:start_of_turn|end_of_turn|bos|eos|pad|unk|mask|start_of_image|end_of_image|"
    r"image_soft_token|unused\d+)>)"
)


def messages(case: Case, prompt: Prompt = COMPACT) -> list[dict[str, str]]:
    """The conversation that asks for an assessment of `case`, as role/content dicts ending with the user's turn."""
    turns = []
    for note, answer in prompt.examples:
        turns += [_turn("user", f"Note:\n{note}"), _turn("assistant", answer.to_json())]
    turns.append(_turn("user", f"Note:\n{_CONTROL.sub('‹', case.text)}"))
    # Gemma has no system role: its template would fold a system text into the first user turn all the same.
    turns[0] = _turn("user", f"{prompt.instructions}\n\n{turns[0]['content']}")
    return turns


def target(answer: Assessment) -> list[dict[str, str]]:
    """The completion a model is trained to give: one assistant turn with the compact JSON."""
    return [_turn("assistant", answer.to_json())]


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
