"""Kill a training with SIGKILL again and again, let it finish, and compare it with one left alone.

The promise is that a killed training goes on from its last whole epoch and ends, on a CPU, with the same
weights to the last bit. Only the command line is used, as a user would.

    python benchmarks/kill_training.py PATH/UTKFace --kills 5 --limit 400

It prints one line of JSON and a sentence, and exits with 1 where the promise is broken.
"""

import argparse
import json
import random
import shlex
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from kill_extraction import CHECKOUT, copy_some, finish, start

EPOCHS = 6


def main() -> int:
    """Run the comparison; 0 where the promise was kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path, help="folder of UTKFace")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--limit", type=int, default=400, help="so many pictures, chosen by the seed")
    parser.add_argument("--model", default="multitask_cnn")
    parser.add_argument("--features", default="dlib_age")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="decides the moments and the pictures")
    parser.add_argument("--command", default=shlex.join([sys.executable, str(CHECKOUT / "cli.py")]))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill_training.") as scratch:
        result = kill_and_compare(options, Path(scratch), random.Random(options.seed))
    print(json.dumps(result))
    verdict = "The promise was kept" if result["kept"] else "THE PROMISE WAS BROKEN"
    print(
        f"{verdict}: after {result['kills']} kills, of {result['tensors']} tensors of {result['trainings']}"
        f" trainings {result['unequal']} differ in a bit."
    )
    return 0 if result["kept"] else 1


def kill_and_compare(options: argparse.Namespace, folder: Path, chance: random.Random) -> dict[str, Any]:
    """Train once without and once with kills, and return what differs."""
    photographs = copy_some(options.photographs, folder / "photographs", options.limit, chance)
    through, killed = folder / "through", folder / "killed"
    through.mkdir()

    def run(workspace: Path, *words: str) -> Any:
        command = [*shlex.split(options.command), "--workspace", str(workspace), *words]
        return start(command, workspace)

    finish(run(through, "prepare", "utkface", str(photographs)), through)
    finish(run(through, "extract", "--backbone", "pixels"), through)
    shutil.copytree(through, killed)
    fit = ["fit", "--model", options.model, "--features", options.features, "--epochs", str(EPOCHS)]
    fit += ["--target", "gender", "--folds", "2", "--no-models", "--threads", str(options.threads)]
    started = time.monotonic()
    finish(run(through, *fit), through)
    seconds = time.monotonic() - started
    lives = []
    while len(lives) < options.kills:
        # Long enough to load and do some epochs, short enough to leave some for the lives after it.
        life = chance.uniform(0.25, 0.6) * seconds
        process = run(killed, *fit)
        time.sleep(life)
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            break
        lives.append({"seconds": round(life, 2), "epochs": epochs_of(killed)})
    finish(run(killed, *fit), killed)
    one, other = tensors_of(through), tensors_of(killed)
    unequal = sum(
        name not in other or not np.array_equal(bits(tensor), bits(other[name]))
        for name, tensor in one.items()
    )
    unequal += len(set(other) - set(one))
    return {
        "kept": bool(one) and not unequal and len(lives) == options.kills,
        "kills": len(lives),
        "lives": lives,
        "seconds_without_kills": round(seconds, 2),
        "trainings": len({name.partition(":")[0] for name in one}),
        "tensors": len(one),
        "unequal": unequal,
        "seed": options.seed,
    }


def checkpoints_of(workspace: Path) -> list[Path]:
    """Return the checkpoint of every training of a workspace."""
    return sorted((workspace / "cache" / "training").glob("*.safetensors"))


def epochs_of(workspace: Path) -> list[int]:
    """Return how many epochs each training has done."""
    from safetensors import safe_open

    done = []
    for path in checkpoints_of(workspace):
        with safe_open(path, "np") as file:
            done.append(json.loads(file.metadata()["progress"])["epoch"])
    return done


def tensors_of(workspace: Path) -> dict[str, Any]:
    """Return every tensor that the trainings of a workspace ended with."""
    from safetensors.numpy import load_file

    return {
        f"{path.name}:{name}": tensor
        for path in checkpoints_of(workspace)
        for name, tensor in load_file(path).items()
    }


def bits(tensor: Any) -> Any:
    """Return the bytes of an array: equal numbers may differ in a bit."""
    return np.ascontiguousarray(tensor).view(np.uint8)


if __name__ == "__main__":
    sys.exit(main())
