"""Find the file that a table means, where it writes the name in another way than the disk does.

macOS takes "é" apart into a letter and its accent, most programs write it as one
letter: the names look alike and are other bytes. Such a file is the one that is
meant. A name in other capitals, or with another ending, may be another file, so it
is only named to the user.
"""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

from featurekit.data.file_types import ENDINGS
from featurekit.files import leads_out

# Rows that a message shows.
_SHOWN = 3
# Folders in folders that a name is looked for in.
_DEEPEST = 50
# Paths, and folders, that are tried to find out where the others lie.
_TRIED = 50
# https://, s3://, file:///, but not C:/.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.I)
# Stands for a folder that is not there, under whatever name: no folder has this one.
_NOWHERE = "\0"


def look_alikes(paths: Iterable[str], root: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the files that paths without a file may mean: those surely meant, and those perhaps.

    Args:
        paths: relative to root, with forward slashes; no file is called so.
        root: nothing outside of it is listed.

    Returns:
        Path → the one path that is the same text in another form of Unicode; path → a path that differs in
        capitals, or in its ending.
    """
    same, others = dict[str, str](), dict[str, str]()

    @cache
    def listed(folder: str) -> frozenset[str]:
        if folder == _NOWHERE or leads_out(root / folder, root):
            return frozenset()
        try:
            return frozenset(os.listdir(root / folder))  # noqa: PTH208 — names, not paths
        except OSError:
            return frozenset()

    @cache
    def found_as(folder: str, form: Callable[[str], str]) -> dict[str, list[str]]:
        by_form: dict[str, list[str]] = {}
        for name in sorted(listed(folder)):
            by_form.setdefault(form(name), []).append(name)
        return by_form

    def nearest(path: str, form: Callable[[str], str]) -> str:
        """Return the one path that is there and has the same form, "" where there is none or several."""
        folder, _, name = path.rpartition("/")
        folder = folder_as(folder, _composed if form is _composed else _in_small_letters)
        there = listed(folder)
        if name not in there:
            names = found_as(folder, form).get(form(name), []) if there else []
            if len(names) != 1:
                return ""
            name = names[0]
        return f"{folder}/{name}" if folder else name

    @cache
    def folder_as(folder: str, form: Callable[[str], str]) -> str:
        return folder if not folder or (root / folder).is_dir() else nearest(folder, form) or _NOWHERE

    for path in dict.fromkeys(paths):
        parts = path.split("/")
        if not path or "\0" in path or path.startswith("/") or ".." in parts or len(parts) > _DEEPEST:
            continue
        try:
            if near := nearest(path, _composed):
                if near != path:  # a link that leads to nothing has the very name
                    same[path] = near
            elif near := nearest(path, _in_small_letters) or nearest(path, _without_ending):
                others[path] = near
        except (OSError, ValueError):  # a name that no file can have
            continue
    return same, others


def notes_of(same: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """Say what look_alikes() found."""
    notes = []
    if same:
        first = next(iter(same))
        notes.append(
            "File names that differ from the table only in their Unicode form (macOS stores accents"
            f" separately from their letters) were treated as the same: {len(same):,}, for example"
            f" '{first}'."
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
    """Say where the files of paths probably lie, and what to type: the paths are another machine's, say.

    Args:
        paths: no file is there, or they lead out of root.
        root: nothing outside of it is looked at.
    """
    astray = [path for path in dict.fromkeys(paths) if path and "\0" not in path]
    web = [path for path in astray if _ADDRESS.match(path)]
    notes = []
    if web:
        notes.append(
            f"Paths that are web addresses: {len(web):,} (first: '{web[0]}'). featurekit reads only files."
            " Download the images, and write their file paths into the table."
        )
    for path in [path for path in astray if not _ADDRESS.match(path)][:_TRIED]:
        if ".." in path.split("/") or path.count("/") > _DEEPEST:
            continue
        if note := _beginning_too_much(path, astray, root) or _folder_too_high(path, root):
            return [*notes, note]
    return notes


def _beginning_too_much(path: str, paths: Iterable[str], root: Path) -> str:
    """Say that the paths are right but for their beginning, "" where that does not help."""
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
    """Say that the paths are right for one folder inside, "" for none or several."""
    if path.startswith("/"):
        return ""
    try:
        inside = [name for name in sorted(os.listdir(root))[:_TRIED] if _is_inside(f"{name}/{path}", root)]  # noqa: PTH208 — names, not paths
    except OSError:
        return ""
    if len(inside) != 1:
        return ""
    return f"'{path}' is in the folder '{inside[0]}'. Give that folder with --root '{root / inside[0]}'"


def _is_inside(path: str, root: Path) -> bool:
    try:
        return not leads_out(root / path, root) and (root / path).is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _in_small_letters(name: str) -> str:
    return _composed(_composed(name).casefold())


def _without_ending(name: str) -> str:
    whole = _in_small_letters(name)
    return Path(whole).stem if Path(whole).suffix in ENDINGS else whole
