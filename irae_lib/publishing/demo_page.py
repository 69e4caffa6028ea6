"""Demo page: enter a note; the rules answer first, the model of a published adapter beside them.

Runs as `app.py` of a Gradio Space on ZeroGPU, or here: `python -m irae_lib.publishing.demo_page`. Environment variables
select the model: IRAE_BASE_MODEL (default: the base that the adapter names), IRAE_BASE_REVISION, IRAE_ADAPTER (a Hub id
or a folder; default: the rehearsal adapter), IRAE_ADAPTER_REVISION. Notes are neither stored nor logged; errors are
fixed sentences, because an exception may hold note text.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from .. import Case, read, review
from ..errors import IraeError, RunError
from ..evaluation.calibration import judged
from ..evaluation.report import read_calibration
from ..files import DATA, ROOT
from ..model.answers import Answer
from ..reporting import note_html as parts
from ..reporting.verdict import final_labels, labels, verdict
from ..safety.exposure import assumed
from ..safety.reviews import Review
from ..workspace import hub_access, profiles

LONGEST = 200_000  # characters; what the rules read and a browser shows within seconds
MODEL_LONGEST = 12_000  # characters; a discharge letter is about 4,000
NOT_AGREED = "Tick the box first: synthetic or de-identified text only, and no decision about a patient."
EMPTY = "The note is empty. Paste a note, or choose an example."
TOO_LONG = f"The note is longer than {LONGEST:,} characters. Shorten it to the part you want read."
UNSURE = "The model is not sure of this answer: a person should read the note. The rules have read it as well."
MORE = "The model calls more than the rules. The higher answer counts until a person has read the note."
BROKEN = "The note could not be assessed. Nothing was stored. Try again, or try a shorter note."
NO_MODEL = "The model could not answer; this is the answer of the rules. Nothing was stored."
STAND_IN = "Stand-in model: ignore its answer, which means nothing clinically."
READING = "The model is reading the note ..."
TOO_LONG_FOR_MODEL = f"The model reads notes of up to {MODEL_LONGEST:,} characters; the rules read all of this one."
EXAMPLES = json.loads((DATA / "page" / "examples.json").read_text(encoding="utf-8"))
MISSING = "the demo page needs Gradio, which is not installed: pip install gradio"


class Engine:
    """A model with its adapter, loaded once; `versions` appears on the page and in the audit trail.

    `stand_in` says that the base is the rehearsal base: its answers test the software and mean nothing clinically. It
    runs on the CPU in its own precision, also where there is a GPU.

    Raises:
        IraeError: adapter or base is missing, cannot be read, or they do not belong together; says what to do.
    """

    def __init__(self) -> None:
        from ..model.adapters import read_record
        from ..model.loaded import LoadedModel

        source, commit = os.environ.get("IRAE_ADAPTER", ""), os.environ.get("IRAE_ADAPTER_REVISION", "")
        folder = _adapter_folder(source, commit)
        base = os.environ.get("IRAE_BASE_MODEL") or read_record(folder)["base_model"]
        self.stand_in = (ROOT / base).resolve() == (ROOT / profiles.REHEARSAL_BASE).resolve()
        profile = profiles.choose_profile("rehearsal" if self.stand_in else "auto", base)
        profile = replace(profile, revision=os.environ.get("IRAE_BASE_REVISION", ""))
        self.loaded = LoadedModel(profile, {"full": folder})
        self.calibration = None if self.stand_in else read_calibration(folder / "report.json")
        self.versions = {
            "base": profile.base_model,
            "base commit": profile.revision or "not pinned",
            "adapter": source if source and not Path(source).is_dir() else folder.name,
            "adapter commit": commit or "local",
            "precision": profile.compute_dtype,
        }

    def answer(self, case: Case) -> Answer:
        """The model's answer to one case."""
        return self.loaded.answer([case], "full")[0]


def _adapter_folder(source: str, commit: str) -> Path:
    """The folder of an adapter: the given one, the rehearsal adapter, or a download from the Hub."""
    folder = Path(source) if source else DATA / "rehearsal_adapter"
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    from .hub import PUBLISHED

    source = hub_access.model_path(source)  # refuses what is neither a folder nor a Hub id
    with hub_access.clear_hub_errors(f"the adapter {source} was not downloaded"):
        return Path(snapshot_download(source, revision=commit or None, allow_patterns=list(PUBLISHED)))


class Shown(NamedTuple):
    """What the page shows: the view as HTML, and the audit trail as JSON, without note text."""

    view: str = ""
    audit: str = ""


def assess(engine, note: str, agreed: bool, exposed: bool = True) -> Iterator[Shown]:
    """What to show for a note, in order: the rules' answer at once, then the model's beside it.

    A refusal (no consent, no note, too long a note) comes alone. If the model fails, the rules' answer stays.
    `exposed` is the checkbox "on or after a checkpoint inhibitor".
    """
    if refusal := _refusal(note, agreed):
        yield Shown(parts.wrapped(parts.message_html(refusal)))
        return
    try:
        case = Case(text=note)
        known = assumed(read(case), case.text, exposed)
        rules = review(case, exposed=known)
        asked = len(note) <= MODEL_LONGEST
        first = _shown(engine, case, rules, notice=READING if asked else TOO_LONG_FOR_MODEL)
    except Exception as error:
        yield Shown(parts.wrapped(parts.message_html(_failed(error, BROKEN))))
        return
    yield first
    if not asked:
        return
    try:
        answer = engine.answer(case)
        result = review(case, answer.assessment, known)
        yield _shown(engine, case, rules, answer, result)
    except Exception as error:
        yield _shown(engine, case, rules, notice=_failed(error, NO_MODEL))


def _refusal(note: str, agreed: bool) -> str:
    if not agreed:
        return NOT_AGREED
    if not note.strip():
        return EMPTY
    return TOO_LONG if len(note) > LONGEST else ""


def _failed(error: Exception, sentence: str) -> str:
    """Log the kind of an error, whose message may hold note text, and return the sentence for the page."""
    print(f"assessment failed: {type(error).__name__}", file=sys.stderr)
    return sentence


def _shown(
    engine, case: Case, rules: Review, answer: Answer | None = None, result: Review | None = None, notice: str = ""
) -> Shown:
    """The rules' answer, with the model's (`answer`, and `result`: the rules over it) or a notice in its place."""
    sure, unsure = judged(engine.calibration, answer) if answer and not engine.stand_in else ({}, False)
    columns, link = {"rules": final_labels(rules)}, {"anchors": True}
    if answer:
        columns["stand-in model" if engine.stand_in else "model"] = labels(answer.assessment)
    if sure:
        columns["confidence, calibrated" if engine.calibration else "confidence, not calibrated"] = parts.percentages(
            sure
        )
    higher = bool(answer and answer.assessment and not engine.stand_in and _calls_more(result, rules))
    view = parts.wrapped(
        parts.message_html(*[MORE] * higher, *[UNSURE] * unsure),
        f'<div class="verdicts">{parts.verdict_html(rules, "Rules")}{_second(engine, result, notice)}</div>',
        parts.unscored_html(answer),
        parts.corrections_html(rules, **link),
        parts.fields_html(columns),
        parts.coverage_html(rules.coverage),
        parts.LEGEND,
        parts.note_html(case.text, rules.findings, result.evidence if result else (), rules.corrections, **link),
        parts.answer_html(result, answer) if answer and result else "",
    )
    return Shown(view, _trail(engine, case, rules, answer))


def _second(engine, result: Review | None, notice: str) -> str:
    """The box beside the rules' verdict: the model's, under the rules; of a stand-in only that it means nothing."""
    if result is None:
        return parts.notice_html(notice, busy=notice == READING)
    if engine.stand_in:
        return parts.notice_html(STAND_IN)
    return parts.verdict_html(result, "Model, under the rules", second=True)


def _calls_more(result: Review, rules: Review) -> bool:
    """Whether the model, under the rules, calls an irAE, grade or urgency that the rules alone do not."""
    return any(
        getattr(result.final, field) > getattr(rules.final, field)
        for field in ("irae_detected", "overall_severity", "urgency")
    )


def _trail(engine, case: Case, rules: Review, answer: Answer | None) -> str:
    """What can be kept about an assessment: checksum, versions and labels, and nothing of the note."""
    trail: dict[str, Any] = {
        "note_sha256": hashlib.sha256(case.text.encode()).hexdigest(),
        **engine.versions,
        "assessed": rules.assessed,
        "verdict": verdict(rules).level,
        "rules": final_labels(rules),
        "corrections": [{"rule": c.rule, "field": c.field, "from": c.before, "to": c.after} for c in rules.corrections],
    }
    if answer:
        trail["model"] = labels(answer.assessment)
        trail |= {} if engine.stand_in else {"certainty": answer.certainty}
    return json.dumps(trail, indent=1)


# --- the page -------------------------------------------------------------------------------------------

TITLE = (
    "# irAE triage: research demonstration\n"
    "**Not a medical device.** Synthetic or de-identified English text only. Rules read the note and a model reads it "
    "too; a clinician decides. Notes are not stored."
)
BAND = (
    '<p class="band"><b>The model on this page is a stand-in without clinical knowledge.</b> '
    "It shows that the software works; ignore what it answers. The rules are the real ones.</p>"
)
LIMITS = f"of {LONGEST:,} characters; the model reads up to {MODEL_LONGEST:,}"
COUNT = '<div class="irae bare"><small>{} {}</small></div>'
CSS = "<style>.own>:not(.irae){padding:0!important}@media(max-width:600px){.main.app{padding:.75rem!important}}</style>"
# In the browser: count characters, and clear an answer that belongs to another note or another exposure.
CLEAR = f"""(text) => [`{COUNT.format('${[...(text ?? "")].length.toLocaleString("en")}', LIMITS)}`, "", ""]"""
# In the browser: a new answer scrolls into view once; the model's part, which comes later, does not move the page.
SHOW = """(view) => {
    if (view && !window.iraeShown)
        document.getElementById("answer").scrollIntoView({behavior: "smooth", block: "start"});
    window.iraeShown = Boolean(view);
}"""


def build(engine):
    """The page as Gradio blocks."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when Gradio is imported
    import gradio as gr

    with gr.Blocks(title="irAE triage", analytics_enabled=False, delete_cache=(600, 600)) as page:
        gr.Markdown(TITLE)
        own = {"apply_default_css": False, "elem_classes": "own"}  # the style of note.css alone
        gr.HTML(parts.STYLE + CSS + f'<div class="irae bare">{BAND if engine.stand_in else ""}</div>', **own)
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                note = gr.Textbox(label="Note", lines=9, max_lines=16, max_length=LONGEST + 1)
                count = gr.HTML(COUNT.format(0, LIMITS), **own)
                agreed = gr.Checkbox(label="Synthetic or de-identified text; no decision about a patient", value=False)
                exposed = gr.Checkbox(label="On or after a checkpoint inhibitor", value=True)
                button = gr.Button("Assess", variant="primary")
                gr.Markdown("Examples")
                with gr.Row():
                    examples = [gr.Button(one["name"], size="sm", min_width=120) for one in EXAMPLES]
            with gr.Column(scale=3, min_width=320, elem_id="answer"):
                view = gr.HTML(**own)
                with gr.Accordion("Audit trail (no note text)", open=False):
                    audit = gr.Code(language="json")
        gr.Markdown(" · ".join(f"{key} `{value}`" for key, value in engine.versions.items()))
        locked = [note, agreed, exposed, button, *examples]
        button.click(
            _locking(engine, gr, len(locked)),
            [note, agreed, exposed],
            [view, audit, *locked],
            concurrency_limit=1,
            show_progress="hidden",  # it would cover the answer; the button says that the page is busy
            api_name="assess",
        )
        browser = {"fn": None, "api_visibility": "private"}
        for one, shown in zip(EXAMPLES, examples, strict=True):
            shown.click(outputs=[note], js=f"() => {json.dumps(one['text'])}", **browser)
        for changed in (note, exposed):
            changed.change(inputs=[note], outputs=[count, view, audit], js=CLEAR, **browser)
        view.change(inputs=[view], js=SHOW, **browser)
    return page.queue(max_size=16)


def _locking(engine, gr, size: int):
    """The handler of the button: while it runs nothing can be edited, so an answer always belongs to the note shown."""

    def inputs(free: bool) -> list:
        said = gr.update(interactive=free, value="Assess" if free else "Reading ...")
        return [said if place == 3 else gr.update(interactive=free) for place in range(size)]

    def handle(text: str | None, tick: bool | None, known: bool | None = True) -> Iterator[list]:
        shown = Shown()
        yield [*shown, *inputs(False)]
        for shown in assess(engine, text or "", bool(tick), bool(known)):
            yield [*shown, *inputs(False)]
        yield [*shown, *inputs(True)]

    return handle


def theme():
    """Gradio's default theme with the system's fonts, which no server delivers, and a button that can be read."""
    import gradio as gr

    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    blue = {
        f"button_primary_background_fill{state}": "*primary_700" for state in ("", "_dark", "_hover", "_hover_dark")
    }
    return gr.themes.Default(primary_hue="blue", neutral_hue="slate", **fonts).set(**blue)


def main() -> None:
    """Load the model and serve the page; on ZeroGPU, each answer runs on a GPU allocated for it.

    Ends with one sentence where Gradio is not installed, or the model cannot be loaded.
    """
    try:
        import spaces  # before torch, as ZeroGPU requires
    except ImportError:
        spaces = None
    try:
        if importlib.util.find_spec("gradio") is None:
            raise RunError(MISSING)
        engine = Engine()
    except IraeError as error:
        sys.exit(str(error))
    if spaces:
        engine.answer = spaces.GPU(duration=60)(engine.answer)
    page, quiet = build(engine), {"show_error": False, "run_history": False, "enable_monitoring": False, "quiet": True}
    quiet |= {"footer_links": [], "ssr_mode": False, "share": False, "prevent_thread_lock": True}
    _, address, _ = page.launch(theme=theme(), **quiet)
    print(f"The page is at {address} (Ctrl-C ends it)", flush=True)
    page.block_thread()


if __name__ == "__main__":
    main()
