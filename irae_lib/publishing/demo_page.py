"""Demo page for a published adapter: enter a note to see the model's answer, the final answer, and every raise.

Runs as `app.py` of a Gradio Space on ZeroGPU, or here: `python -m irae_lib.publishing.demo_page`. Environment variables
select the model: IRAE_BASE_MODEL, IRAE_BASE_REVISION, IRAE_ADAPTER (a Hub id or a folder), IRAE_ADAPTER_REVISION.
Notes are neither stored nor logged; errors are fixed sentences, because an exception may hold note text.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from .. import Case, read, review
from ..evaluation.calibration import judged
from ..evaluation.report import read_calibration
from ..files import DATA
from ..reporting.note_html import case_html
from ..safety.exposure import assumed

LONGEST = 12_000  # characters; a discharge letter is about 4,000
NOT_AGREED = "Tick the box first: synthetic or de-identified text only, and no decision about a patient."
EMPTY = "The note is empty. Paste a note, or choose an example."
TOO_LONG = f"The note is longer than {LONGEST:,} characters. Shorten it to the part you want read."
UNSURE = "**The model is not sure of this answer. A person should read the note**; the rules have read it as well."
NOT_READ = "**Not assessed: the rules did not understand this note. A person must read it.**"
BROKEN = "The note could not be assessed. Nothing was stored. Try again, or try a shorter note."
BANNER = (
    "# irAE triage: research demonstration\n"
    "**Not a medical device.** Synthetic or de-identified English text only. A model proposes, deterministic rules may "
    "raise, a clinician decides. Notes are not stored."
)
EXAMPLES = json.loads((DATA / "page" / "examples.json").read_text(encoding="utf-8"))


class Engine:
    """A model with its adapter, loaded once; `versions` appears on the page and in the audit trail."""

    def __init__(self) -> None:
        from huggingface_hub import snapshot_download

        from ..model.loaded import LoadedModel
        from ..workspace.profiles import choose_profile
        from .hub import PUBLISHED

        profile = choose_profile("auto", os.environ.get("IRAE_BASE_MODEL", ""))
        profile = replace(profile, revision=os.environ.get("IRAE_BASE_REVISION", ""))
        source, commit = os.environ.get("IRAE_ADAPTER", ""), os.environ.get("IRAE_ADAPTER_REVISION", "")
        folder = Path(source) if source else DATA / "rehearsal_adapter"
        if not folder.is_dir():
            folder = Path(snapshot_download(source, revision=commit or None, allow_patterns=list(PUBLISHED)))
        self.loaded = LoadedModel(profile, {"full": folder})
        self.calibration = read_calibration(folder / "report.json" if source else DATA / "reports" / "rehearsal.json")
        self.versions = {
            "base": profile.base_model,
            "base commit": profile.revision or "not pinned",
            "adapter": source if source and not Path(source).is_dir() else folder.name,
            "adapter commit": commit or "local",
            "precision": profile.compute_dtype,
        }

    def answer(self, case: Case):
        """The model's answer to one case."""
        return self.loaded.answer([case], "full")[0]


def assess(engine, note: str, agreed: bool, exposed: bool = True) -> tuple[str, str, str]:
    """(message, view, audit): a refusal alone, or the view of the case and its audit trail without note text.

    `exposed` is the checkbox "on or after a checkpoint inhibitor". The message is empty, or says that the note was not
    assessed, or that the answer is below the calibration threshold.
    """
    if not agreed:
        return NOT_AGREED, "", ""
    if not note.strip():
        return EMPTY, "", ""
    if len(note) > LONGEST:
        return TOO_LONG, "", ""
    try:
        case = Case(text=note)
        answer = engine.answer(case)
        result = review(case, answer.assessment, assumed(read(case), case.text, exposed))
        sure, unsure = judged(engine.calibration, answer)
        heading = "sure, calibrated" if engine.calibration else "sure, not calibrated"
        view = case_html(case.text, result, answer, confidence=sure, sure=heading)
    except Exception as error:
        print(f"assessment failed: {type(error).__name__}", file=sys.stderr)  # its message may hold note text
        return BROKEN, "", ""
    trail = {
        "note_sha256": hashlib.sha256(note.encode()).hexdigest(),
        **engine.versions,
        "certainty": answer.certainty,
        "assessed": result.assessed,
        "corrections": [
            {"rule": c.rule, "field": c.field, "from": c.before, "to": c.after} for c in result.corrections
        ],
    }
    message = NOT_READ if not result.assessed else UNSURE if unsure else ""
    return message, view, json.dumps(trail, indent=1)


def build(engine):
    """The page as Gradio blocks."""
    import gradio as gr

    with gr.Blocks(title="irAE triage", analytics_enabled=False, delete_cache=(600, 600)) as page:
        gr.Markdown(BANNER)
        with gr.Row():
            with gr.Column(scale=2):
                note = gr.Textbox(label="Note", lines=9, max_lines=16, max_length=LONGEST + 1)
                agreed = gr.Checkbox(label="Synthetic or de-identified text; no decision about a patient", value=False)
                exposed = gr.Checkbox(label="On or after a checkpoint inhibitor", value=True)
                button = gr.Button("Assess", variant="primary")
                gr.Examples([[text] for text in EXAMPLES], [note], cache_examples=False)
            with gr.Column(scale=3):
                message = gr.Markdown()
                view = gr.HTML()
                with gr.Accordion("Audit trail (no note text)", open=False):
                    audit = gr.Code(language="json")
        gr.Markdown(" · ".join(f"{key} `{value}`" for key, value in engine.versions.items()))
        button.click(
            lambda text, tick, known=True: assess(engine, text or "", bool(tick), bool(known)),
            [note, agreed, exposed],
            [message, view, audit],
            concurrency_limit=1,
            api_name="assess",
        )
    return page.queue(max_size=16)


def main() -> None:
    """Load the model and serve the page; on ZeroGPU, each answer runs on a GPU allocated for it."""
    try:
        import spaces  # before torch, as ZeroGPU requires
    except ImportError:
        spaces = None
    engine = Engine()
    if spaces:
        engine.answer = spaces.GPU(duration=60)(engine.answer)
    build(engine).launch(share=False, show_error=False, run_history=False, enable_monitoring=False)


if __name__ == "__main__":
    main()
