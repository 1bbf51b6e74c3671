"""Find files whose names differ slightly from the names in a table.

macOS stores "é" as a letter and an accent, while most programs write it as one letter. Such names look the
same but have different bytes, and are treated as the same file. A file with the same name in another case, or
with another file extension, may be a different file, so a note only reports it.
"""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

from featurekit.data.file_types import ENDINGS
from featurekit.files import leads_out
from featurekit.text import first_few

# How many rows a message shows.
_SHOWN = 3
# How deeply folders may be nested for a name to be searched in them.
_DEEPEST = 50
# How many paths, and folders, are tried in order to find where the files are.
_TRIED = 50
# https://, s3://, file:///, but not C:/.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.I)
# Stands for a folder that does not exist: no folder can have this name.
_NOWHERE = "\0"


def look_alikes(paths: Iterable[str], root: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Find an existing file with a similar name for each path at which there is no file.

    Args:
        paths: paths relative to root, with forward slashes, at which no file exists.
        root: folder to search; files outside of it are not found.

    Returns:
        Path → existing path that differs only in its form of Unicode, and path → existing path that differs
        in case or in its file extension.
    """
    same, others = dict[str, str](), dict[str, str]()

    @cache
    def listed(folder: str) -> frozenset[str]:
        is_inside = folder != _NOWHERE and not leads_out(root / folder, root)
        try:
            return frozenset(os.listdir(root / folder) if is_inside else ())  # noqa: PTH208 — names, not paths
        except OSError:
            return frozenset()

    @cache
    def found_as(folder: str, form: Callable[[str], str]) -> dict[str, list[str]]:
        by_form: dict[str, list[str]] = {}
        for name in sorted(listed(folder)):
            by_form.setdefault(form(name), []).append(name)
        return by_form

    def nearest(path: str, form: Callable[[str], str]) -> str:
        """Return the only existing path with the same form, "" where there is none or several."""
        folder, _, name = path.rpartition("/")
        folder = folder_as(folder, _composed if form is _composed else _in_small_letters)
        names = [name] if name in listed(folder) else found_as(folder, form).get(form(name), [])
        return f"{folder}/{names[0]}".removeprefix("/") if len(names) == 1 else ""

    @cache
    def folder_as(folder: str, form: Callable[[str], str]) -> str:
        return folder if not folder or (root / folder).is_dir() else nearest(folder, form) or _NOWHERE

    for path in dict.fromkeys(paths):
        parts = path.split("/")
        if not path or "\0" in path or path.startswith("/") or ".." in parts or len(parts) > _DEEPEST:
            continue
        try:
            if near := nearest(path, _composed):
                if near != path:  # a link to nothing has exactly this name
                    same[path] = near
            elif near := nearest(path, _in_small_letters) or nearest(path, _without_ending):
                others[path] = near
        except (OSError, ValueError):  # no file can have this name
            continue
    return same, others


def notes_of(same: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """Return notes for the user about the files that look_alikes() found."""
    shown = first_few([f"'{near}' for '{path}'" for path, near in others.items()], _SHOWN)
    notes = (
        "File names that differ from the table only in their Unicode form (macOS stores accents separately"
        f" from their letters) were treated as the same: {len(same):,}, for example '{next(iter(same))}'."
        if same
        else "",
        f"Missing files for which there is a file with a similar name: {len(others):,} ({shown}). If these"
        " files are the right ones, correct their names in the table."
        if others
        else "",
    )
    return [note for note in notes if note]


def notes_of_misplaced(paths: Iterable[str], root: Path) -> list[str]:
    """Return notes about systematically wrong paths, e.g. because the paths are from another computer.

    Args:
        paths: paths at which no file exists, or that lead out of root.
        root: folder of the images; files outside of it are not examined.
    """
    named = [path for path in dict.fromkeys(paths) if path and "\0" not in path]
    web = [path for path in named if _ADDRESS.match(path)]
    notes = []
    if web:
        notes.append(
            f"Paths that are web addresses: {len(web):,} (first: '{web[0]}'). featurekit reads only files."
            " Download the images, and write the paths of the files into the table."
        )
    for path in [path for path in named if not _ADDRESS.match(path)][:_TRIED]:
        if ".." in path.split("/") or path.count("/") > _DEEPEST:
            continue
        if note := _beginning_too_much(path, named, root) or _folder_too_high(path, root):
            return [*notes, note]
    return notes


def notes_of_links(paths: Iterable[str], root: Path) -> list[str]:
    """Return a note about links that lead out of root, e.g. because the images are stored once and linked.

    Args:
        paths: paths that lead out of root.
        root: folder of the images.
    """
    # Any other path leads out by its own words: it begins with / or has a part "..".
    linked = [
        path for path in dict.fromkeys(paths) if not path.startswith("/") and ".." not in path.split("/")
    ]
    if not linked:
        return []
    return [
        f"Links that lead outside the folder of the data set: {len(linked):,} (first: '{linked[0]}')."
        " featurekit does not follow them. Copy the data set together with the files that the links point to:"
        f" cp -RL '{root}' COPY"
    ]


def _beginning_too_much(path: str, paths: Iterable[str], root: Path) -> str:
    """Say that the paths are right except for their beginning, "" if they are not."""
    parts = path.split("/")
    for cut in range(1, len(parts)):
        rest = "/".join(parts[cut:])
        if rest and _is_inside(rest, root):
            beginning = path.removesuffix(rest)
            n = sum(one.startswith(beginning) for one in paths)
            above = (
                f", or give the folder above with --root '{root.parent}'"
                if beginning == f"{root.name}/"
                else ""
            )
            return (
                f"Paths that begin with '{beginning}' but exist only without '{beginning}': {n:,} ('{rest}'"
                f" for '{path}'). Remove this beginning from the paths in the table{above}."
            )
    return ""


def _folder_too_high(path: str, root: Path) -> str:
    """Say that the paths are right for one folder inside root, "" if they are for none or several."""
    try:
        inside = [name for name in sorted(os.listdir(root))[:_TRIED] if _is_inside(f"{name}/{path}", root)]  # noqa: PTH208 — names, not paths
    except OSError:
        return ""
    if len(inside) != 1 or path.startswith("/"):
        return ""
    return f"'{path}' is in the folder '{inside[0]}'. Give that folder with --root '{root / inside[0]}'"


def _is_inside(path: str, root: Path) -> bool:
    try:
        return not leads_out(root / path, root) and (root / path).is_file()
    except (OSError, ValueError):  # no file can have this name
        return False


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _in_small_letters(name: str) -> str:
    return _composed(_composed(name).casefold())


def _without_ending(name: str) -> str:
    whole = _in_small_letters(name)
    return Path(whole).stem if Path(whole).suffix in ENDINGS else whole
