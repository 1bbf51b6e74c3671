"""The scripts for SLURM in the documentation, word for word, with processes that have SLURM's variables."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import featurekit as fk
from featurekit.networks.weights import home
from featurekit.project import ProjectFolder

DOCS = Path(__file__).parents[1] / "docs"
TASKS = 3


def scripts():
    """Return each script of an array, with the commands that follow it."""
    text = "\n".join(path.read_text() for path in sorted(DOCS.glob("*.md")))
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [(block, blocks[at + 1]) for at, block in enumerate(blocks) if "SLURM_ARRAY_TASK_ID" in block]


def test_there_is_one_for_a_shared_folder_and_one_for_separate_caches():
    assert ["cache merge" in after for _, after in scripts()] == [False, True]
    assert all('--shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"' in script for script, _ in scripts())


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize("number", [0, 1])
def test_a_script_extracts_everything_once(number, featurekit, tmp_path, monkeypatch):
    from featurekit.data.datasets import DATASETS

    DATASETS["synthetic"].read(tmp_path / "data", n_subjects=24, n_pictures=1)
    work, programs = tmp_path / "work", tmp_path / "bin"
    assert featurekit("prepare", "adience", tmp_path / "data")[0] == 0
    shutil.copytree(work, tmp_path / "whole")
    programs.mkdir()
    command = programs / "featurekit"
    command.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "from featurekit.cli.app import main; main()" "$@"\n'
    )
    command.chmod(0o755)
    script, after = scripts()[number]
    settings = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "FEATUREKIT_HOME": str(home()),
        "SLURM_CPUS_PER_TASK": "1",
        "SLURM_ARRAY_TASK_COUNT": str(TASKS),
    }
    started = [
        subprocess.Popen(
            ["bash", "-c", script],
            cwd=work,
            env={**settings, "SLURM_ARRAY_TASK_ID": str(task)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for task in range(1, TASKS + 1)
    ]
    printed = [(one.communicate(timeout=120)[0], one.returncode) for one in started]
    assert [code for _, code in printed] == [0] * TASKS
    assert sum(int(re.search(r"Read (\d+) images", text)[1]) for text, _ in printed) == 24
    for line in after.splitlines():
        if not line.startswith("featurekit fit"):
            subprocess.run(["bash", "-c", line], cwd=work, env=settings, check=True)
    data = fk.Dataset.load(ProjectFolder(work).manifest)
    mine, whole = (
        fk.embed(data, "dlib_age+mobilenet_v2", project=folder, progress=False)
        for folder in (work, tmp_path / "whole")
    )
    assert mine.extraction.n_read == 0
    assert mine.frame().equals(whole.frame())
    assert mine.ledger.costs["shared"]["pictures"] == 24
