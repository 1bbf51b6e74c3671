"""What featurekit's own sides of the benchmarks have in common.

The timed part is the library's main path: extract() on a prepared manifest, with hashing, storing and
all. Opening the networks is taken out of it, as it is for every rival; a larger frame of the detector, which
few pictures need, is compiled within it.
"""

import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

CHECKOUT = Path(__file__).resolve().parent.parent
CLI = str(CHECKOUT / "cli.py")
sys.path.insert(0, str(CHECKOUT))  # so that it runs from a checkout that is not installed

if TYPE_CHECKING:
    from featurekit.cache.store import Store
    from featurekit.data.manifest import Manifest
    from featurekit.embeddings.extractor import Extraction
    from featurekit.faces.settings import FaceSettings


def serve(work: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    """Read the job that the last argument names, do it, print the answer."""
    print(json.dumps(work(json.loads(Path(sys.argv[-1]).read_text()))))


def is_worker() -> bool:
    """Whether this process is a side of a comparison."""
    return "--worker" in sys.argv[1:2]


def versions(*names: str) -> dict[str, str]:
    """Return the versions that decide featurekit's speed; names are further packages."""
    from featurekit import __version__

    packages = ("numpy", "openvino", "opencv-python", "pillow", *names)
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"featurekit": __version__, "python": platform.python_version(), **found}


def extracted(
    job: Mapping[str, Any],
    features: Sequence[str],
    *,
    detector: str = "centerface",
    detector_weights: str | None = None,
    precision: str = "auto",
    mirrored: bool = False,
) -> "tuple[Manifest, Extraction, Store, FaceSettings, dict[str, Any]]":
    """Extract the pictures of job["folder"] into a store of its own.

    Returns:
        The manifest, what extract() did, the store, the settings, and the answer so far: seconds
        without opening, n, versions and notes.
    """
    from featurekit.cache.store import Store
    from featurekit.data.prepare import prepare
    from featurekit.embeddings.extractor import extract
    from featurekit.embeddings.recipe import make_recipes
    from featurekit.faces.settings import default_settings

    manifest = prepare("utkface", Path(job["folder"]))
    settings = default_settings(detector, detector_weights=detector_weights)
    recipes = make_recipes(features, settings, device="cpu", precision=precision, mirrored=mirrored)
    store = Store(Path(job["scratch"]) / "cache")
    extraction = extract(manifest, recipes, settings, store, threads=int(job["threads"]))
    found = extraction.statuses.get("ok", 0)
    ran = ", ".join(f"{name} {got['precision']}" for name, got in extraction.achieved.items())
    answer = {
        "seconds": extraction.seconds - extraction.seconds_to_open,
        "n": extraction.n_read,
        "versions": versions(*(["insightface", "onnxruntime"] if detector == "insightface_scrfd" else [])),
        "scores": {"faces found": found},
        "notes": [f"{ran}; {extraction.seconds:.2f} s with opening the networks"],
    }
    return manifest, extraction, store, settings, answer


def run_command(words: Sequence[str], workspace: Path, program: Sequence[str] = (CLI,)) -> str:
    """Run featurekit's command line on a workspace and return what it printed.

    Args:
        words: the command and its options.
        workspace: folder of the project.
        program: what Python runs.

    Raises:
        RuntimeError: it failed; the message is the end of what it printed.
    """
    ended = subprocess.run(
        [sys.executable, *program, "--workspace", str(workspace), *words],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"featurekit {' '.join(words[:2])} failed:\n{ended.stdout[-2000:]}")
    return ended.stdout
