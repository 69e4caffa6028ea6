"""Asking a model from the panel: a real loaded model, its limit, and stopping it in the middle."""

import asyncio
import threading
import time

import pytest
from labels import PROFILE

from irae_lib import Case
from irae_lib.files import DATA
from irae_lib.model.loaded import LoadedModel
from irae_lib.prompts import COMPACT, GUIDED
from irae_lib.reviewing.arms import Arm, Asker, Cancelled, model_arm

CASE = Case(id="x", text="Nivolumab, cycle 3. ALT 640 U/L (ref 7-56). No jaundice.")


@pytest.fixture(scope="module")
def loaded():
    return LoadedModel(PROFILE, {"tuned": DATA / "rehearsal_adapter"})


def test_the_answer_is_that_of_the_model(loaded):
    answer = model_arm(loaded, "tuned", COMPACT).answer(CASE, threading.Event())
    assert answer == loaded.answer([CASE], "tuned")[0]


def test_a_stopped_model_ends_at_the_next_token(loaded):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        model_arm(loaded, "tuned", COMPACT).answer(CASE, stop)


def test_the_limit_is_told_without_asking(loaded):
    arm = model_arm(loaded, "tuned", GUIDED)
    assert arm.too_long(CASE) == ""
    long = Case(text="Seen in clinic, no complaints, plan unchanged. " * 4300)
    assert "tokens; this model has room for 8,192" in arm.too_long(long)


def test_in_a_running_loop_the_answer_arrives_in_its_thread():
    threads = []

    async def ask():
        asker = Asker({"m": Arm(lambda case, stop: threading.current_thread().name)}, lambda: threads.append(here()))
        asker.ask(CASE, "m")
        assert asker.reading
        while asker.reading:
            await asyncio.sleep(0.01)
        return asker.get(CASE, "m")

    def here():
        return threading.current_thread() is threading.main_thread()

    assert asyncio.run(ask()) != threading.main_thread().name
    assert threads == [True]


def test_one_model_is_asked_at_a_time_and_a_dropped_answer_is_not_kept():
    busy, most = [], []

    def slow(case, stop):
        busy.append(case.id)
        most.append(len(busy))
        time.sleep(0.05)
        busy.pop()
        return case.id

    asker = Asker({"m": Arm(slow)}, lambda: None)
    for name in ("a", "b"):
        asker.ask(Case(id=name, text="note"), "m")
    asker.wait(5)
    assert most == [1, 1]
    assert asker.get(Case(id="a", text="note"), "m") is None
    assert asker.get(Case(id="b", text="note"), "m") == "b"
