"""The version of featurekit, which is stored in every result, model and report that it makes."""

from functools import cache
from pathlib import Path

__version__ = "0.1.0"


@cache
def commit() -> str:
    """Return the first twelve digits of the commit of the checkout that runs; "" if it is not a checkout.

    The files of Git are read without Git. Changes that were not committed cannot be seen here.
    """
    git = Path(__file__).parents[1] / ".git"
    try:
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head[:12]
        branch = head.removeprefix("ref: ")
        if (git / branch).is_file():
            return (git / branch).read_text(encoding="utf-8").strip()[:12]
        packed = (git / "packed-refs").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return next((line[:12] for line in packed if line.endswith(f" {branch}")), "")
