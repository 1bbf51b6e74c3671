"""Print a page as a PDF with Chromium, or another browser that is made of it.

The print style of the page decides what is printed: report/paper.css and paper.js. The
browser runs without a window and without the network, with a profile that is deleted
afterwards.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from featurekit.errors import EngineError
from featurekit.text import first_line

# An environment variable with the path of the browser, as other programs use it.
VARIABLE = "CHROME_PATH"
_NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("msedge", "microsoft-edge", "microsoft-edge-stable"),
)
# Where browsers are installed that are not on PATH.
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
TIMEOUT = 120  # seconds
_BY_HAND = "Or open report.html in any browser and print it to a PDF there: the result is the same."


def find_browser() -> str:
    """Return the path of a browser that can print: the one that CHROME_PATH names, or else the first found.

    Raises:
        EngineError: there is no such browser.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted:
        found = shutil.which(wanted)
        if found is None:
            raise EngineError(f"{VARIABLE} is {wanted}, which is not a program. {_BY_HAND}")
        return found
    found = next(filter(None, (*map(shutil.which, _NAMES), *map(shutil.which, _PLACES))), None)
    if found is None:
        raise EngineError(
            "No browser was found that can print a PDF. Install Chromium, Chrome or Edge, for example with"
            f" apt-get install chromium, or set {VARIABLE} to its program. {_BY_HAND}"
        )
    return found


def print_pdf(page: str, browser: str) -> bytes:
    """Return an HTML page as the bytes of a PDF.

    Args:
        page: the text of the HTML file.
        browser: path of the browser, from find_browser().

    Raises:
        EngineError: the browser fails, or takes longer than TIMEOUT.
    """
    with TemporaryDirectory(prefix="featurekit-pdf-") as folder:
        pdf, html = Path(folder) / "page.pdf", Path(folder) / "page.html"
        html.write_text(page, encoding="utf-8")
        command = [browser, *_options(Path(folder)), f"--print-to-pdf={pdf}", html.as_uri()]
        try:
            done = subprocess.run(  # nosec B603  # a browser, with fixed options and a page of ours
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env={**os.environ, "HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_CACHE_HOME": folder},
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"{browser} took longer than {TIMEOUT} seconds. {_BY_HAND}") from error
        except OSError as error:
            raise EngineError(f"{browser} cannot be started: {first_line(error)}. {_BY_HAND}") from error
        if pdf.is_file() and pdf.stat().st_size:
            return pdf.read_bytes()
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = f"exit code {done.returncode}{f': {said[-1]}' if said else ''}"
        raise EngineError(
            f"{browser} printed no PDF ({why}). A browser"
            f" that is installed as a snap cannot write there; {VARIABLE} can name another one. {_BY_HAND}"
        )


def _options(folder: Path) -> Iterator[str]:
    """Return options for a browser without a window and without the network, with a profile of its own."""
    yield from (
        "--headless=new",
        "--disable-gpu",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-extensions",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-sync",
        "--no-pings",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--force-color-profile=srgb",
        "--no-pdf-header-footer",
        f"--user-data-dir={folder}",
    )
    if sys.platform == "linux":
        yield "--disable-dev-shm-usage"
        if os.geteuid() == 0:  # Chromium's sandbox refuses to run as root, as in a container
            yield "--no-sandbox"
