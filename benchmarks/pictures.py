"""Make what the documentation shows: figures of a report, its first screen, and the outputs of the tutorial.

    python benchmarks/pictures.py report      # docs/pictures/report.png, with Chromium, Chrome or Edge
    python benchmarks/pictures.py results     # the figures of the kept report, and the flow, in seconds
    python benchmarks/pictures.py portrait    # the sample portrait, with what predict draws on it
    python benchmarks/pictures.py synthetic   # the terminal and the mean maps, in about eight minutes
    python benchmarks/pictures.py tutorial    # docs/tutorial_outputs.json and its pictures, in two minutes

The tutorial is stored without outputs, so that a change of its text is a small change. What a run shows is
stored beside it, and the documentation is built from both without running anything. tests/test_docs.py fails
if a cell has changed since it was run, and tests/test_pictures.py if a stored result has changed since its
figures were drawn.
"""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
REPORT = ROOT / "reports" / "utkface-builtin" / "report.html"
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
OUTPUTS = ROOT / "docs" / "tutorial_outputs.json"
SCREEN = (1280, 800)
BROWSERS = ("chromium", "google-chrome", "chrome", "microsoft-edge")
SECONDS_AT_MOST = 600


def report() -> None:
    """Photograph the first screen of the kept report, which shows no face."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"No browser was found: {', '.join(BROWSERS)}.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.png"
        subprocess.run(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--user-data-dir={folder}/profile", f"--window-size={SCREEN[0]},{SCREEN[1]}"),
                *(f"--screenshot={file}", REPORT.as_uri()),
            ],
            check=True,
            capture_output=True,
        )
        _save(file.read_bytes(), PICTURES / "report.png", summary=summary_hash())


def summary_hash() -> str:
    """Return the hash of what the first screen says, which is stored in the picture."""
    text = REPORT.with_suffix(".md").read_text(encoding="utf-8")
    return sha256(text.split("\n## Summary\n")[1].split("\n## ")[0].encode()).hexdigest()


def results() -> None:
    """Draw the figures of the kept comparison from what is stored of it, and the flow."""
    from _drawn_pictures import flow_pictures, pictures_of

    for name, svg in {**pictures_of(REPORT.parent), **flow_pictures()}.items():
        _write(svg.encode(), PICTURES / name)


def portrait() -> None:
    """Store the public-domain portrait of scikit-image with the box and the predictions on it."""
    from _run_pictures import drawn_portrait

    _write(drawn_portrait(), PICTURES / "portrait.jpg")


def synthetic() -> None:
    """Run the usual commands on portraits that are made up; store what they print, and mean maps."""
    from _run_pictures import printed_and_maps

    terminal, maps = printed_and_maps()
    _write(terminal.encode(), PICTURES / "terminal.svg")
    _write(maps, PICTURES / "mean_maps.jpg")


def tutorial() -> None:
    """Run the tutorial in a temporary folder, and store what its cells show."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)
    with tempfile.TemporaryDirectory() as folder:
        for variable in ("TMPDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
            (Path(folder) / variable).mkdir()
            os.environ[variable] = str(Path(folder) / variable)
        os.environ["PYTHONPATH"] = str(ROOT)
        NotebookClient(
            notebook,
            timeout=SECONDS_AT_MOST,
            kernel_name="python3",
            resources={"metadata": {"path": os.environ["TMPDIR"]}},
        ).execute()
        shutil.rmtree(PICTURES / "tutorial", ignore_errors=True)
        stored = {cell.id: _stored(cell) for cell in notebook.cells if cell.cell_type == "code"}
        text = json.dumps(stored, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if folder in text or str(ROOT) in text:
        sys.exit("The outputs name a folder of this machine.")
    OUTPUTS.write_text(text, encoding="utf-8")
    print(f"Wrote {OUTPUTS.relative_to(ROOT)}")


def _stored(cell: Any) -> dict[str, Any]:
    """Return a cell's outputs, with figures as files, and the hashes of its source and its outputs."""
    outputs: list[dict[str, str]] = []
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            name = f"{cell.id}-{len(outputs)}.png"
            _save(base64.b64decode(data["image/png"]), PICTURES / "tutorial" / name)
            outputs.append({"kind": "picture", "value": name})
        elif data.get("text/html") == "":
            continue  # a progress bar that was drawn and taken away
        elif "text/html" in data:
            outputs.append({"kind": "html", "value": data["text/html"]})
        elif "text/plain" in data:
            outputs.append({"kind": "text", "value": data["text/plain"]})
        elif output.output_type == "stream":
            outputs.append({"kind": "text", "value": output.text})
    return {
        "source": sha256(cell.source.encode()).hexdigest(),
        "outputs": outputs,
        "shown": hash_of_outputs(outputs),
    }


def hash_of_outputs(outputs: list[dict[str, str]]) -> str:
    """Return the hash of what a cell shows, its pictures included: nobody changes it by hand."""
    hashed = sha256()
    for one in outputs:
        hashed.update(f"{one['kind']} {one['value']}\n".encode())
        if one["kind"] == "picture":
            hashed.update((PICTURES / "tutorial" / one["value"]).read_bytes())
    return hashed.hexdigest()


def _save(png: bytes, path: Path, **says: str) -> None:
    """Save a picture with 256 colors, which is a third of its size, and with what it says of itself."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    for name, value in says.items():
        about.add_text(name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    file = io.BytesIO()
    picture.save(file, "png", optimize=True, pnginfo=about)
    _write(file.getvalue(), path)


def _write(content: bytes, path: Path) -> None:
    """Write a picture, and say how large it is."""
    path.write_bytes(content)
    print(f"Wrote {path.relative_to(ROOT)}, {len(content) / 1000:.0f} kB")


if __name__ == "__main__":
    makers = {one.__name__: one for one in (report, results, portrait, synthetic, tutorial)}
    if len(sys.argv) != 2 or sys.argv[1] not in makers:
        sys.exit(f"Say which: {' or '.join(makers)}.")
    makers[sys.argv[1]]()
