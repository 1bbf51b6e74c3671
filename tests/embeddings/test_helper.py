"""A helper process: it answers, says how it died, and never outlives whom it works for."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from featurekit.embeddings import helper as library
from featurekit.embeddings.helper import Helper, HelperDiedError
from featurekit.errors import WeightsError
from tests.embeddings.made_up import tasks_of


@pytest.fixture
def helper(job):
    one = Helper("featurekit.embeddings.pool:look_for_another", job)
    one.ready()
    yield one
    one.close()


def test_what_a_helper_raises_on_purpose_is_raised_here(job, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path))
    recipe = {**job["recipes"][0], "backbone": "dlib_age", "layer": "pooled"}
    helper = Helper("featurekit.embeddings.pool:look_for_another", {**job, "recipes": [recipe]})
    with pytest.raises(WeightsError, match="weights fetch builtin"):
        helper.ready()
    helper.close()


def test_a_helper_that_dies_or_is_stuck_is_an_error_of_one_question(helper, manifest):
    (task,) = tasks_of(manifest, [0])
    os.kill(helper._process.pid, signal.SIGSTOP)
    with pytest.raises(HelperDiedError, match="took too long"):
        helper.ask([task.to_json()], seconds=0.3)
    assert helper._process.poll() is not None


def test_how_a_helper_died_is_said(helper, manifest):
    (task,) = tasks_of(manifest, [0])
    os.kill(helper._process.pid, signal.SIGKILL)
    helper._process.wait()
    with pytest.raises(HelperDiedError, match="ended by SIGKILL"):
        helper.ask([task.to_json()], seconds=60)


def test_helpers_end_when_the_process_they_work_for_is_killed(job, tmp_path):
    script = (
        "import json, sys, time\n"
        "from featurekit.embeddings.helper import Helper\n"
        "helper = Helper('featurekit.embeddings.pool:look_for_another', json.loads(sys.argv[1]))\n"
        "helper.ready(); print(helper._process.pid, flush=True); time.sleep(600)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, json.dumps(job)], stdout=subprocess.PIPE, text=True
    )
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.communicate()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _runs(pid):
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_only_featurekits_own_functions_are_run():
    with pytest.raises(ValueError, match="functions of featurekit"):
        library._resolve("os", "system")
