"""Open the notebooks as a reader does: JupyterLab in headless Chromium, run all cells, take pictures top to bottom.

    pip install jupyterlab playwright        # and a Chromium on the PATH
    python tests/tools/lab.py OUT_FOLDER [NN ...] [--dark] [--width 390 --height 844]
    python tests/tools/lab.py OUT_FOLDER page        # the demo page instead: page.py; needs gradio

Options go in any order. Works on a copy of the checkout, so the saved notebooks never change; runs go to a folder that
is deleted at the end. papermill and nbval see what a cell prints. This sees what a page shows: widgets that draw, tables that are cut, walls
of warnings. Nothing is fetched from outside: Chromium may open the local server and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from browser import Browser
from page import take_pictures

if TYPE_CHECKING:  # pytest imports every file here to look for doctests, also where playwright is not installed
    from playwright.sync_api import Locator

ROOT = Path(__file__).resolve().parents[2]
NOT_A_READERS = ("HF_TOKEN", "IRAE_PROFILE", "MPLBACKEND", "PYTHONHASHSEED", "PYTHONPATH", "TQDM_DISABLE")
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"

# A JupyterLab as it comes, but for this: all cells are on the page at once (by default those out of sight are not
# drawn), the page ends where the notebook ends, no news are fetched, and nothing is saved behind the test's back.
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none", "scrollPastEnd": False},
    "docmanager-extension/plugin": {"autosave": False},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
# What Lab itself knows of the open notebook is more certain than what can be read off the page.
STATE = """() => {
    const panel = window.jupyterapp.shell.currentWidget, kernel = panel.sessionContext.session?.kernel;
    return {name: panel.context.path, kernel: kernel ? kernel.status : "none",
            cells: panel.model.toJSON().cells.filter(cell => cell.cell_type === "code")};
}"""
# The answer comes after everything that the kernel was asked before, and so do its outputs.
ASK_KERNEL = """async () => {
    await new Promise(done => setTimeout(done, 100));
    await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestKernelInfo();
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
CAN_BE_CUT = ".jp-OutputArea-output, .jp-RenderedMarkdown, .jp-RenderedHTMLCommon, .jp-InputArea .cm-scroller"
TOO_WIDE = """boxes => window.jupyterapp.shell.currentWidget.content.widgets.flatMap((cell, number) => {
    const found = [], say = what => found.push(`cell ${number}: ${what}`);
    for (const box of cell.node.querySelectorAll(boxes)) {
        const what = box.matches(".cm-scroller") ? "code" : "output or text";
        if (box.scrollWidth > box.clientWidth + 1) say(`${what}: ${box.clientWidth} of ${box.scrollWidth} pixels`);
    }
    for (const text of cell.node.querySelectorAll(".jp-OutputArea-output pre")) {
        const lines = text.textContent.replace(/\\n$/, "").split("\\n");
        const high = parseFloat(getComputedStyle(text).lineHeight);
        const more = Math.round(text.getBoundingClientRect().height / high) - lines.length;
        const longest = Math.max(...lines.map(line => line.length));
        if (more > 0) say(`output: ${more} lines more than printed, the longest has ${longest} characters`);
    }
    return found;
})"""
# What a widget's callback writes to stderr, tracebacks included, is in no cell: Lab hides it in its log.
LISTEN = """() => {
    window.unseen = [];
    window.jupyterapp.shell.currentWidget.sessionContext.iopubMessage.connect((_, {header, parent_header, content}) => {
        if (parent_header.msg_type !== "execute_request" && (header.msg_type === "error" || content.name === "stderr"))
            window.unseen.push(content.text ?? `${content.ename}: ${content.evalue}`);
    });
}"""


class LabError(AssertionError):
    """Lab did not start, a cell failed, or the notebook did not finish in time."""


def copy_checkout(into: Path) -> Path:
    """The part of the checkout that a notebook reads, as a folder that may be written to."""
    skip = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("notebooks", "irae_lib", "data"):
        shutil.copytree(ROOT / name, into / name, ignore=skip)
    shutil.copy(ROOT / "requirements.txt", into)
    return into


class Lab:
    """A JupyterLab over `root` and a page of it; the kernels write their runs to `runs`.

    with Lab(copy_checkout(tmp_path / "copy"), tmp_path / "runs") as lab:
        lab.open("05_try_it")
        lab.run_all()
        lab.choose("case", "HEP-001")
        lab.press("Read the note")
        assert "Grade 2" in lab.html()
    """

    def __init__(self, root: Path, runs: Path, *, width: int = 1280, height: int = 1000, dark: bool = False) -> None:
        self.root, self.runs, self.size = Path(root), Path(runs), {"width": width, "height": height}
        self.dark = dark

    # --- starting and stopping --------------------------------------------------------------------------

    def __enter__(self) -> Lab:
        with ExitStack() as started:  # what has started stops again, also when the next thing does not start
            self._start_server(started)
            self._start_browser(started)
            self._started = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._started.close()

    def _start_server(self, started: ExitStack) -> None:
        home = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="lab", ignore_cleanup_errors=True)))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._address, self._token = f"http://127.0.0.1:{port}", secrets.token_hex(24)
        theme = {"apputils-extension/themes": {"theme": f"JupyterLab {'Dark' if self.dark else 'Light'}"}}
        for name, values in (SETTINGS | theme).items():
            file = home / "lab" / "user-settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        # A file, because kernels inherit the environment and everybody can read a command line.
        (home / "jupyter_server_config.json").write_text(json.dumps({"IdentityProvider": {"token": self._token}}))
        (home / "labconfig").mkdir()
        news = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
        (home / "labconfig" / "page_config.json").write_text(json.dumps(news))
        environment = {name: value for name, value in os.environ.items() if name not in NOT_A_READERS} | {
            "IRAE_RUNS": str(self.runs.resolve()),
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "JUPYTER_CONFIG_DIR": str(home),
            "JUPYTER_DATA_DIR": str(home / "data"),  # a kernel installed by the user must not take our place
            "IPYTHONDIR": str(home / "ipython"),
        }
        options = "--no-browser --allow-root --expose-app-in-browser --log-level=ERROR"
        command = [sys.executable, "-m", "jupyterlab", *options.split(), f"--ServerApp.root_dir={self.root.resolve()}"]
        command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
        command += ["--LabApp.extension_manager=readonly"]  # the other one asks the package index
        log = home / "log"
        with log.open("w") as out:
            self._server = subprocess.Popen(
                command, cwd=self.root, env=environment, stdout=out, stderr=out, start_new_session=True
            )
        started.callback(self._stop_server)
        deadline = time.monotonic() + 90
        while not self._server_answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise LabError("JupyterLab did not start:\n" + log.read_text()[-2000:].replace(self._token, "..."))
            time.sleep(0.3)

    def _server_answers(self) -> bool:
        try:
            return bool(self.rest("GET", "/api/status"))
        except OSError:
            return False

    def _stop_server(self) -> None:
        self._server.terminate()  # the server takes its kernels with it
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()

    def _start_browser(self, started: ExitStack) -> None:
        # Asked with the token once, the server answers with a cookie: no token in an address, so none in a message.
        browser = Browser(self._address, **self.size, dark=self.dark)
        self.page = browser.start(started, first="/lab", headers=self._credentials)
        self.refused = browser.refused

    @property
    def _credentials(self) -> dict[str, str]:
        return {"Authorization": f"token {self._token}"}

    def rest(self, method: str, path: str) -> object:
        """One call of the server's REST API, decoded."""
        asked = urllib.request.Request(self._address + path, method=method, headers=self._credentials)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    # --- a notebook -------------------------------------------------------------------------------------

    def open(self, notebook: str, *, sidebar: bool = False) -> None:
        """Show one of `notebooks/` with a new kernel, the only one; the list of files, 300 pixels, only on request."""
        self.page.goto("about:blank")
        for session in self.rest("GET", "/api/sessions"):
            self.rest("DELETE", f"/api/sessions/{session['id']}")
        name = f"notebooks/{notebook.removesuffix('.ipynb')}.ipynb"
        self.page.goto(f"{self._address}/lab/tree/{name}?reset", timeout=90_000)
        self.page.locator(f"{PANEL} .jp-Cell").first.wait_for(timeout=90_000)
        self.page.wait_for_function(f"name => ({STATE})().name === name", arg=name)
        if self.page.locator("#jp-left-stack").is_visible() != sidebar:
            self.command("application:toggle-left-area")
        self._until(lambda state: state["kernel"] == "idle", 90, "the kernel did not start")
        self.page.evaluate(LISTEN)

    def run_all(self, *, timeout: float = 300) -> None:
        """Run > Run All Cells; returns when every code cell has its count, or says which cell failed."""
        self._forget()
        self._menu("Run", "Run All Cells")
        self._wait_for_counts(timeout)

    def restart_kernel_and_run_all(self, *, timeout: float = 300) -> None:
        """Kernel > Restart Kernel and Run All Cells, confirmed; also after `kill_kernel`."""
        had_kernel = self._state()["kernel"] != "none"
        self._forget()
        self._menu("Kernel", "Restart Kernel and Run All Cells…")
        if had_kernel:  # nothing to confirm without one
            self.page.locator(".jp-Dialog button.jp-mod-accept").click()
        self._wait_for_counts(timeout)

    def kill_kernel(self) -> None:
        """Shut the kernel down behind the page's back, as a hub does at the end of a lease: interrupt, then the end."""
        identity = self.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.id")
        self.rest("DELETE", f"/api/kernels/{identity}")
        self._until(lambda state: state["kernel"] == "none", 30, "the page keeps its kernel")

    def cells(self) -> list[dict]:
        """The code cells as they are in the page, in the form of a notebook file."""
        return self._state()["cells"]

    def errors(self) -> list[str]:
        """What must not be there: tracebacks and everything written to stderr, with the number of the code cell."""
        found = []
        for number, cell in enumerate(self.cells()):
            for output in cell["outputs"]:
                if output["output_type"] == "error":
                    found.append(f"code cell {number}: {output['ename']}: {output['evalue']}")
                elif output.get("name") == "stderr":
                    found.append(f"code cell {number}: stderr: {''.join(output['text']).strip()}")
        return found + [f"in no cell: {text.strip()}" for text in self.page.evaluate("window.unseen")]

    def too_wide(self) -> list[str]:
        """Where the page is too narrow, by number of the cell: cut off behind a scroll bar, or text that wraps."""
        return self.page.evaluate(TOO_WIDE, CAN_BE_CUT)

    def screenshots(self, folder: Path) -> list[Path]:
        """The page from the top of the notebook to its end, one PNG per screen with a small overlap."""
        folder.mkdir(parents=True, exist_ok=True)
        stem = Path(self._state()["name"]).stem
        for old in folder.glob(f"{stem}_[0-9][0-9].png"):
            old.unlink()
        view = self.page.locator(f"{PANEL} .jp-WindowedPanel-outer").first
        self.page.mouse.move(0, 0)  # what the mouse is over looks different
        total, high = view.evaluate("view => [view.scrollHeight, view.clientHeight]")
        taken = []
        for number, top in enumerate(range(0, max(total - 60, 1), high - 60), 1):
            view.evaluate("(view, top) => view.scrollTo({top, behavior: 'instant'})", top)
            self.page.wait_for_timeout(200)
            taken.append(folder / f"{stem}_{number:02}.png")
            self.page.screenshot(path=taken[-1])
        return taken

    # --- widgets ----------------------------------------------------------------------------------------

    def widget(self, kind: str, label: str = "") -> Locator:
        """Widgets of a kind (button, dropdown, text, textarea, html ...) in the outputs, with this text in them."""
        return self.page.locator(f"{PANEL} .jp-OutputArea-output .widget-{kind}").filter(has_text=label)

    def press(self, text: str) -> None:
        """Press a button, one of a row of toggles too, and wait until the kernel has answered."""
        outputs = self.page.locator(f"{PANEL} .jp-OutputArea-output")
        outputs.get_by_role("button", name=text, exact=True).first.click()
        self.settle()

    def choose(self, label: str, option: str) -> None:
        """Set the dropdown with this label."""
        self.widget("dropdown", label).locator("select").first.select_option(label=option)
        self.settle()

    def write(self, label: str, text: str) -> None:
        """Put text into the text field or area with this label."""
        box = self.widget("text", label).or_(self.widget("textarea", label)).first
        box.locator("input, textarea").fill(text)
        box.locator("input, textarea").blur()
        self.settle()

    def html(self, number: int = 0) -> str:
        """What is inside the HTML widget with this number; -1 is the last."""
        return self.page.locator(f"{PANEL} .widget-html-content").nth(number).inner_html()

    def settle(self) -> None:
        """Wait until the kernel has done what it was asked for so far, and the page shows it."""
        self.page.evaluate(ASK_KERNEL)

    # --- how it is done ---------------------------------------------------------------------------------

    def command(self, name: str) -> None:
        """A command of JupyterLab by its id."""
        self.page.evaluate("name => window.jupyterapp.commands.execute(name)", name)

    def _menu(self, menu: str, item: str) -> None:
        self.page.locator(".lm-MenuBar-item", has_text=re.compile(f"^{menu}$")).click()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{re.escape(item)}$")).click()

    def _state(self) -> dict:
        return self.page.evaluate(STATE)

    def _forget(self) -> None:
        """No output and no count of an earlier run may pass for one of the next."""
        self.command("notebook:clear-all-cell-outputs")
        self.page.evaluate("window.unseen = []")

    def _wait_for_counts(self, timeout: float) -> None:
        def finished(state: dict) -> bool:
            raised = [out for cell in state["cells"] for out in cell["outputs"] if out["output_type"] == "error"]
            if state["kernel"] == "idle" and raised:
                raise LabError(f"{state['name']} failed in " + "\n".join(self.errors()))
            if asked := self.page.locator(".jp-Dialog").all_inner_texts():  # above all: the kernel has died
                raise LabError(f"{state['name']}: {' '.join(asked)}\ncode cells not run: {uncounted(state)}")
            return state["kernel"] == "idle" and not uncounted(state)

        self._until(finished, timeout, "not all code cells have run")
        self.settle()

    def _until(self, true: Callable[[dict], bool], timeout: float, otherwise: str) -> None:
        deadline = time.monotonic() + timeout
        while not true(state := self._state()):
            if time.monotonic() > deadline:
                waiting = f"kernel {state['kernel']}, code cells not run: {uncounted(state)}"
                raise LabError(f"{state['name']}: {otherwise} in {timeout:.0f} s; {waiting}")
            self.page.wait_for_timeout(300)


def uncounted(state: dict) -> list[int]:
    """Numbers of the code cells that wait, run, or were left out after an error."""
    full = [(n, cell) for n, cell in enumerate(state["cells"]) if "".join(cell["source"]).strip()]
    return [n for n, cell in full if cell["execution_count"] is None]


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; options may stand before, between and after the names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("names", nargs="*", metavar="NN", help='notebooks, or "page"; default: all notebooks in order')
    parser.add_argument("--width", type=int, default=1280, help="pixels (default: %(default)s)")
    parser.add_argument("--height", type=int, default=1000, help="pixels (default: %(default)s)")
    parser.add_argument("--dark", action="store_true", help="dark theme")
    parser.add_argument("--sidebar", action="store_true", help="with the list of files, as JupyterLab starts")
    parser.add_argument("--timeout", type=float, default=1500, help="seconds per notebook (default: %(default)s)")
    return parser.parse_intermixed_args(arguments)


def main() -> None:
    wanted = options()
    if "page" in wanted.names:
        take_pictures(wanted.out, width=wanted.width, height=wanted.height, dark=wanted.dark)
        wanted.names.remove("page")
        if not wanted.names:
            return
    with tempfile.TemporaryDirectory() as aside:
        root = copy_checkout(Path(aside) / "copy")
        names = [path.stem for path in sorted((root / "notebooks").glob("*.ipynb"))]
        size = {"width": wanted.width, "height": wanted.height, "dark": wanted.dark}
        with Lab(root, Path(aside) / "runs", **size) as lab:
            for name in (name for name in names if not wanted.names or name[:2] in wanted.names):
                started, failure = time.monotonic(), ""
                lab.open(name, sidebar=wanted.sidebar)
                try:
                    lab.run_all(timeout=wanted.timeout)
                except LabError as error:
                    failure = str(error)
                taken = lab.screenshots(wanted.out)  # of a failure most of all
                print(f"{name}: {time.monotonic() - started:.0f} s, {len(taken)} pictures", flush=True)
                for line in [failure] * bool(failure) or lab.errors() + lab.too_wide():
                    print("   ", line.replace("\n", "\n    "), flush=True)


if __name__ == "__main__":
    main()
