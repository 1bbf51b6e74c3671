"""What commands show when they run: the terminal, mean maps over made-up portraits, and the sample portrait.

Every command runs in a temporary folder. The terminal is that of a screen: tables are drawn. Progress, which
comes and goes, is left out.
"""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, ROWS = 120, 50
SEED = "0"
# Commands of the terminal, each with the number of its lines that are shown.
COMMANDS = (
    ("prepare synthetic portraits", 6),
    ("extract", 20),
    ("fit --target gender --features dlib_gender --model svm --model xgboost", 20),
    ("report", 1),
)
NETWORK = "gender--dlib_gender--finetuned_cnn--epochs-8"
FIT_NETWORK = "fit --target gender --features dlib_gender --model finetuned_cnn --epochs 8"
PORTRAIT_SIDE, QUALITY = 460, 84
# Subjects whose portraits are explained, and the width of the sheet.
SUBJECTS, SHEET_WIDTH = 24, 720
# rich's own frame of a terminal names fonts of another host.
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"


def drawn_portrait() -> bytes:
    """Return the sample portrait with what predict draws on it, as a small JPEG."""
    with tempfile.TemporaryDirectory() as folder:
        _run(["predict", "--sample-portrait", "--draw", "drawn"], Path(folder))
        [path] = (Path(folder) / "drawn").iterdir()
        return _small(path, PORTRAIT_SIDE)


def printed_and_maps() -> tuple[str, bytes]:
    """Run the usual commands on made-up portraits; return the terminal as SVG, and mean maps as a picture."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        printed = [(line, _shown(_run(line.split(), at), most)) for line, most in COMMANDS]
        _run(["extract", "--backbone", "pixels"], at)
        _run([*FIT_NETWORK.split(), "--seed", SEED], at)
        folders = [f"portraits/faces/{one.name}" for one in sorted((at / "portraits" / "faces").iterdir())]
        _run(["explain", f"models/{NETWORK}", *folders[:SUBJECTS], "--average", "--output", "maps"], at)
        maps = _small(at / "maps" / "sheet.png", SHEET_WIDTH)
        terminal = terminal_svg(printed)
    if folder in terminal or str(ROOT) in terminal:
        sys.exit("The terminal names a folder of this machine.")
    return terminal, maps


def _run(words: Sequence[str], folder: Path) -> str:
    """Run a command of featurekit as on a screen, and return what it printed there."""
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    command = [sys.executable, str(ROOT / "cli.py"), *words]
    with (folder / "progress.txt").open("wb") as progress:
        running = subprocess.Popen(command, cwd=folder, env=environment, stdout=there, stderr=progress)
        os.close(there)
        parts = []
        while True:
            try:
                part = os.read(here, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not part:
                break
            parts.append(part)
        os.close(here)
        if running.wait():
            sys.exit((folder / "progress.txt").read_text(errors="replace")[-2000:])
    return b"".join(parts).decode().replace("\r\n", "\n")


def _shown(printed: str, most: int) -> list[str]:
    """Return the first lines that are shown, and the last one; the number of those between stands there.

    Blank lines are left out.
    """
    lines = [line.rstrip() for line in printed.splitlines() if line.strip()]
    left_out = len(lines) - most
    if left_out <= 0:
        return lines
    return [*lines[: most - 1], f"  … {left_out} more lines", lines[-1]]


def terminal_svg(printed: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return commands and what they printed as the picture of a terminal.

    Args:
        printed: arguments of each command, and its lines with the escape codes of colors.
    """
    from rich._export_format import CONSOLE_SVG_FORMAT
    from rich.console import Console
    from rich.terminal_theme import DIMMED_MONOKAI
    from rich.text import Text

    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for number, (words, lines) in enumerate(printed):
        if number:
            console.print()
        console.print(Text.assemble(("$ ", "dim"), (f"featurekit {words}", "bold")))
        for line in lines:
            console.print(Text.from_ansi(line), soft_wrap=False)
    head, style = CONSOLE_SVG_FORMAT.split("@font-face", 1)
    template = (head + style[style.rindex("}}\n\n    .{unique_id}-matrix") + 4 :]).replace(
        "Fira Code, monospace", FONTS
    )
    template = template.replace("<!-- Generated with Rich https://www.textualize.io -->", "")
    template = template.replace("<svg ", '<svg role="img" aria-label="A terminal" ', 1)
    svg = console.export_svg(
        title="featurekit", theme=DIMMED_MONOKAI, code_format=template, unique_id="terminal"
    )
    return "\n".join(line.strip() for line in svg.splitlines() if line.strip()) + "\n"


def _small(path: Path, side: int) -> bytes:
    """Return an image with so many pixels at most on a side, as a small JPEG."""
    from PIL import Image

    picture = Image.open(path).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "jpeg", quality=QUALITY, subsampling=0, optimize=True, progressive=True)
    return file.getvalue()
