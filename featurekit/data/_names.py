"""Find the file that a table means if the table spells its name differently.

macOS stores "é" as a letter and its accent, most programs write it as one letter: the
names look the same and consist of other bytes. Such a file is the one that is meant. A
name in another case, or with another ending, may be another file; a note only reports
it.
"""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

from featurekit.data.file_types import ENDINGS
from featurekit.files import leads_out

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
    """Return the existing files that paths without a file may mean: certain ones, and possible ones.

    Args:
        paths: relative to root, with forward slashes; no file has such a path.
        root: nothing outside of it is listed.

    Returns:
        Path → the only path that is the same text in another form of Unicode; path → a path that differs in
        case, or in its ending.
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
    """Return notes for the user on what look_alikes() found."""
    notes = []
    if same:
        notes.append(
            "File names that differ from the table only in their Unicode form (macOS stores accents"
            f" separately from their letters) were treated as the same: {len(same):,}, for example"
            f" '{next(iter(same))}'."
        )
    if others:
        shown = ", ".join(f"'{near}' for '{path}'" for path, near in list(others.items())[:_SHOWN])
        more = ", …" if len(others) > _SHOWN else ""
        notes.append(
            f"Files that do not exist although one with a similar name does: {len(others):,}"
            f" ({shown}{more}). If those files are meant, correct their names in the table."
        )
    return notes


def notes_of_misplaced(paths: Iterable[str], root: Path) -> list[str]:
    """Return notes that say where the files probably are, e.g. because the paths are from another computer.

    Args:
        paths: paths without a file, or that lead out of root.
        root: nothing outside of it is examined.
    """
    named = [path for path in dict.fromkeys(paths) if path and "\0" not in path]
    web = [path for path in named if _ADDRESS.match(path)]
    notes = []
    if web:
        notes.append(
            f"Paths that are web addresses: {len(web):,} (first: '{web[0]}'). featurekit reads only files."
            " Download the images, and write their file paths into the table."
        )
    for path in [path for path in named if not _ADDRESS.match(path)][:_TRIED]:
        if ".." in path.split("/") or path.count("/") > _DEEPEST:
            continue
        if note := _beginning_too_much(path, named, root) or _folder_too_high(path, root):
            return [*notes, note]
    return notes


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
                f"Paths that begin with '{beginning}' but exist only without it: {n:,} ('{rest}' for"
                f" '{path}'). Remove this beginning from the paths in the table{above}."
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
