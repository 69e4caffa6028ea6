"""Notebook parameters from the command line: names, types, paths and files, checked before the first notebook starts.

Relative paths are meant from the current directory, as everywhere in a shell. A notebook would take them from its own
folder, so they are made absolute here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from .cases import read_cases, texts_by_id
from .errors import RunError, SchemaError
from .files import ROOT, read_text
from .model.adapters import read_record
from .synthesis.overlap import check_overlap
from .training.rows import notes_of, read_training_file
from .workspace.hub_access import require_repo_id

READERS = {
    "own_cases": read_cases,
    "training_file": read_training_file,
    "test_file": read_cases,
    "contrast_file": read_cases,
    "terms_file": lambda path: read_text(path, "a copy of the terms as text"),
}
_FOLDERS = ("output_dir", "adapter_dir", "keep_in")
_REPOSITORIES = ("hub_model_id", "space_id")
Declared = Mapping[str, Mapping[str, Any]]  # the parameters of a notebook, as papermill reads them


def typed(given: Mapping[str, str], declared: Mapping[str, Declared], left_out: Iterable[str]) -> dict[str, dict]:
    """The given parameters as values, for each notebook that has them.

    An unknown name is an error: papermill only warns, and a run with the wrong learning rate looks like any other.

    Args:
        declared: the parameters of every notebook of the main job. left_out: the notebooks that do not run.
    Raises:
        RunError: an unknown name or a wrong value; names the parameter and what was expected.
    """
    left_out = set(left_out)
    chosen = {name: has for name, has in declared.items() if name not in left_out}
    for wish in given:
        if not any(wish in has for has in chosen.values()):
            raise RunError(_unknown(wish, chosen, {name: declared[name] for name in left_out}))
    return {
        name: {wish: _value(wish, given[wish], has[wish]) for wish in given if wish in has}
        for name, has in chosen.items()
    }


def _unknown(wish: str, chosen: Mapping[str, Declared], others: Mapping[str, Declared]) -> str:
    said = f"no notebook of this run has a parameter {wish!r}"
    for name, has in others.items():
        if wish in has:
            return f"{said}; it belongs to {name}, which --only leaves out"
    there = sorted(set().union(*chosen.values()))
    meant = get_close_matches(wish.lower().replace("-", "_"), there, n=1)
    return f"{said}; did you mean {meant[0]}?" if meant else f"{said}; there are {', '.join(there)}"


def _value(name: str, text: str, declared: Mapping[str, Any]) -> Any:
    """A value in the type of the notebook's default: "007" stays text where the default is text."""
    default = eval(declared["default"], {"__builtins__": {}})  # a literal from the notebook's own parameters cell
    kind = type(default)
    try:
        value = {"true": True, "false": False, "1": True, "0": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise RunError(f"parameter {name} must be {kind.__name__}, found {text!r}") from None
    choices = re.match(r"@param (\[.*?\])", declared["help"])
    if choices and value not in json.loads(choices[1]):
        raise RunError(f"parameter {name} must be one of {', '.join(json.loads(choices[1]))}; found {text!r}")
    if kind in (int, float) and not min(0, default) <= value < math.inf:  # a default of -1 has a meaning of its own
        raise RunError(f"parameter {name} must be {min(0, default)} or more, found {text}")
    return _from_here(name, value) if kind is str and value else value


def _from_here(name: str, value: str) -> str:
    """A path as the shell means it, absolute; other text unchanged."""
    path = Path(value).expanduser()
    if name == "keep_in" and (value == "drive" or value.startswith("hub:")):
        return value
    if name in READERS or name in _FOLDERS:
        return str(path.resolve())
    if name == "base_model" and path.is_dir():  # a folder of the checkout keeps its portable name
        path = path.resolve()
        return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
    return value


def check(values: Mapping[str, Any]) -> None:
    """Read every file that the parameters name, and check the names of repositories.

    Raises:
        IraeError: a file is missing or invalid, a repository has no owner, or cases to train on are also to be tested
            on; names the parameter.
    """
    rows = {name: _read(name, values[name]) for name in READERS if values.get(name)}
    if values.get("adapter_dir") and values["adapter_dir"] != values.get("output_dir"):  # else 02 makes it
        read_record(Path(values["adapter_dir"]))
    for name in _REPOSITORIES:
        if values.get(name):
            require_repo_id(values[name])
    if values.get("keep_in", "").startswith("hub:"):
        require_repo_id(values["keep_in"].removeprefix("hub:"))
    trained_on = notes_of(rows.get("training_file", ()))
    if values.get("own_cases_for") == "train":
        trained_on |= texts_by_id(rows.get("own_cases", ()))
    for name in ("test_file", "contrast_file"):
        check_overlap(trained_on, texts_by_id(rows.get(name, ())))


def _read(name: str, value: str) -> Any:
    try:
        return READERS[name](Path(value))
    except OSError as error:
        raise SchemaError(f"parameter {name}: {Path(value).name} cannot be read: {error.strerror}") from None
    except SchemaError as error:
        raise SchemaError(f"parameter {name}: {error}") from None
