"""Demo page: enter a note; the rules answer first, the model of a published adapter beside them.

Runs as `app.py` of a Gradio Space on ZeroGPU, or here: `python -m irae_lib.publishing.demo_page`. Environment variables
select the model: IRAE_BASE_MODEL (default: the base that the adapter names), IRAE_BASE_REVISION, IRAE_ADAPTER (a Hub id
or a folder; default: the rehearsal adapter), IRAE_ADAPTER_REVISION. Notes are neither stored nor logged; errors are
fixed sentences, because an exception may hold note text.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .. import Case
from ..errors import IraeError, RunError
from ..evaluation.report import read_calibration
from ..files import DATA, ROOT
from ..model.answers import Answer
from ..reporting.note_html import STYLE, raw_html, wrapped
from ..workspace import hub_access, profiles
from .page_view import LONGEST, LONGEST_NOTE, Shown, assess

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


TITLE = (
    "# irAE triage: research demonstration\n"
    "**Not a medical device.** Synthetic or de-identified English text only. Rules read the note and a model reads it "
    "too; a clinician decides. Notes are not stored."
)
BAND = (
    '<p class="band"><b>The model on this page is a stand-in without clinical knowledge.</b> '
    "It shows that the software works; ignore what it answers. The rules are the real ones.</p>"
)
LIMITS = f"of {LONGEST:,} characters; the model reads up to {LONGEST_NOTE:,}"
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
        gr.HTML(STYLE + CSS + f'<div class="irae bare">{BAND if engine.stand_in else ""}</div>', **own)
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
                    audit = gr.HTML(**own)
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

    def outputs(shown: Shown, free: bool) -> list:
        return [shown.view, wrapped(raw_html(shown.audit)) if shown.audit else "", *inputs(free)]

    def handle(text: str | None, tick: bool | None, known: bool | None = True) -> Iterator[list]:
        shown = Shown()
        yield outputs(shown, False)
        for shown in assess(engine, text or "", bool(tick), bool(known)):
            yield outputs(shown, False)
        yield outputs(shown, True)

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
