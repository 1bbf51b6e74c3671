"""Being told to stop: what was computed is kept, and a line says how to go on."""

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

# Shards of four rows, so that the first is there long before the last.
STARTER = """
import sys
from featurekit.embeddings import extractor
from featurekit.cli.app import main
extractor.SHARD_ROWS = 4
main()
"""


def start(workspace, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, "-w", workspace, *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def wait_for(there, process):
    """Wait until there() or the end of the process."""
    until = time.monotonic() + 60
    while not there() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_extraction_that_is_told_to_stop_keeps_what_it_has_and_says_how_to_go_on(
    featurekit, tmp_path, number, code
):
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for each in range(300):
        Image.fromarray(rng.integers(0, 256, (150, 150, 3), dtype=np.uint8)).save(photos / f"{each}.png")
    lines = ["file,sex", *(f"{each}.png,female" for each in range(300))]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    named = ("--column", "image_path=file", "--column", "gender=sex")
    assert featurekit("prepare", "table", tmp_path / "table.csv", "--root", photos, *named)[0] == 0
    command = ("extract", "--backbone", "mean_color", "--detector", "whole_image", "--threads", "1")
    process = start(tmp_path / "work", *command)
    wait_for(lambda: list((tmp_path / "work" / "cache").glob("embeddings/*/*.safetensors")), process)
    process.send_signal(number)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == code, errors
    assert errors.splitlines()[-2:] == [
        "stopping: saving the results so far. Press Ctrl-C again to stop at once",
        "stopped: run the same command again to continue from here",
    ]
    code_of_extract, output, errors = featurekit(*command)
    assert code_of_extract == 0, errors
    n_read = int(re.search(r"Read (\d+) images", output)[1])
    assert 0 < n_read < 300  # the rest had been kept


@pytest.mark.slow
def test_a_training_that_is_told_to_stop_ends_at_once_and_keeps_its_last_epoch(
    featurekit, prepared, tmp_path
):
    assert featurekit("extract", "--backbone", "pixels", "--detector", "whole_image")[0] == 0
    how = ("--epochs", "4000", "--set", "side=32", "--target", "gender", "--folds", "4", "--threads", "2")
    process = start(tmp_path / "work", "fit", "--model", "residual_attention", *how)
    training = tmp_path / "work" / "cache" / "training"
    wait_for(lambda: list(training.glob("*.safetensors")), process)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130, errors
    assert time.monotonic() - began < 20
    assert "Traceback" not in errors
    assert "continue from their last" in errors.splitlines()[-1]
    assert list(training.glob("*.safetensors"))
