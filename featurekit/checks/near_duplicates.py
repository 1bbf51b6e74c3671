"""Pictures that are the same but for their encoding, size, colours or a mark across them."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.checks.base import CHECKS, NO_FOLDS, Check, Given, lacking
from featurekit.checks.image_hash import MOST_IN_COMMON, NEXT_ONLY, are_alike, candidates, look_at
from featurekit.findings import Finding
from featurekit.text import counted

NAME = "near_duplicates"
_LABELS = ("age", "age_group", "gender")


class _Alike(NamedTuple):
    """What the pictures say of each other.

    Attributes:
        keys: of each row, which group of near duplicates it stands in, "" for none.
        n_pictures: how many there are, identical files counted once.
        n_unseen: how many of them cannot be read, or are too plain.
        n_cut: how many were compared with some of those like them only.
        n_compared, n_alike: pairs.
    """

    keys: NDArray[np.str_]
    n_pictures: int
    n_unseen: int
    n_cut: int
    n_compared: int
    n_alike: int


def _alike(given: Given, has_picture: NDArray[np.bool_]) -> _Alike:
    """Return which rows' pictures are nearly identical, directly or by way of others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = np.flatnonzero(has_picture)
    # One picture a content: identical files are another check's.
    picture_of, contents = pd.factorize(given.manifest.table["content"].to_numpy(dtype=object)[rows])
    n = len(contents)
    first = rows[np.unique(picture_of, return_index=True)[1]]
    paths = given.manifest.table["image_path"].to_numpy(dtype=str)[first].tolist()
    hashes, details = look_at(given.manifest.root, paths, given.threads, given.progress)
    seen = np.flatnonzero(np.isfinite(details[:, 0]))
    pairs, n_cut = candidates(hashes[seen])
    alike = seen[pairs[are_alike(details, seen[pairs])]]
    links = coo_array((np.ones(len(alike), bool), (alike[:, 0], alike[:, 1])), shape=(n, n))
    group = connected_components(links, directed=False)[1]
    names = np.array([f"{number:09}" for number in group])
    keys = np.full(len(has_picture), "", dtype=names.dtype)
    keys[rows] = np.where(np.isin(group, group[alike[:, 0]]), names, "")[picture_of]
    return _Alike(keys, n, n - len(seen), n_cut, len(pairs), len(alike))


def _n_differing(keys: NDArray[np.str_], labels: NDArray[np.str_], which: NDArray[np.bool_]) -> int:
    """Return in how many groups of the rows labels differ, "" being none."""
    known = which & (labels != "")
    if not known.any():
        return 0
    return int((pd.Series(labels[known]).groupby(keys[known]).agg("nunique") > 1).sum())


def look(given: Given) -> Finding:
    """Look for pictures that are the same but for their encoding, size, colours or a mark across them."""
    if not given.pictures:
        return lacking(NAME, "The images were not read.", "Next: featurekit audit without --no-images.")
    has_picture = given.manifest.usable & (given.manifest.table["content"] != "").to_numpy()
    if not has_picture.any():
        return lacking(NAME, "No usable row has an image that can be read.", "Next: featurekit prepare.")
    n_faces = int(has_picture.sum())
    root = given.manifest.root
    if not any((root / path).exists() for path in given.manifest.table["image_path"][has_picture]):
        return Finding(
            name=NAME,
            severity="warning",
            count=0,
            of=n_faces,
            what=f"No image was read, because none of the {n_faces:,} images is below {root} any more.",
            advice="Move the folder back, or run featurekit prepare on its new location.",
        )
    alike = _alike(given, has_picture)
    concerned, across = alike.keys != "", given.across(alike.keys)
    n_groups, n_across = (len(np.unique(alike.keys[which])) for which in (concerned, across))
    differing = {label: _n_differing(alike.keys, given.column(label), concerned) for label in _LABELS}
    return Finding(
        name=NAME,
        severity="warning" if n_across else "note" if n_groups or alike.n_cut or alike.n_unseen else "ok",
        count=int(concerned.sum()),
        of=n_faces,
        what=_what(given, alike, across, n_faces, differing),
        advice=_advice(given) if n_groups else "",
        details={
            "groups": {
                "all": float(n_groups),
                "across folds": float(n_across),
                **{f"with another {label}": float(number) for label, number in differing.items()},
            },
            "pairs": {"compared": float(alike.n_compared), "alike": float(alike.n_alike)},
        },
        rows=given.ids_by(alike.keys, across if n_across else concerned),
    )


def _what(
    given: Given, alike: _Alike, across: NDArray[np.bool_], n_faces: int, differing: Mapping[str, int]
) -> str:
    """Return what was found, as sentences."""
    concerned = alike.keys != ""
    n_groups, n_across = (len(np.unique(alike.keys[which])) for which in (concerned, across))
    said = ", ".join(f"{n:,} by {label.replace('_', ' ')}" for label, n in differing.items() if n)
    what = [
        f"{concerned.sum():,} of {n_faces:,} faces are in {counted(n_groups, 'group', 'groups')} of"
        " near-duplicates: the same image with another encoding, size or colour."
        if n_groups
        else f"No two of {alike.n_pictures - alike.n_unseen:,} images are near-duplicates."
    ]
    if n_groups and given.folds is not None:
        what.append(
            f"{n_across:,} groups, {across.sum():,} faces, are tested in more than one fold."
            if n_across
            else "None is tested in more than one fold."
        )
    if said:
        what.append(f"Groups whose labels differ: {said}.")
    if alike.n_unseen:
        pictures = counted(alike.n_unseen, "image", "images")
        what.append(
            f"{pictures} could not be compared, because they cannot be read or have too little detail."
        )
    if alike.n_cut:
        what.append(
            f"{alike.n_cut:,} images share a part of their hash with more than {MOST_IN_COMMON:,} others,"
            f" and were compared with the next {NEXT_ONLY} of them only."
        )
    return " ".join(what)


def _advice(given: Given) -> str:
    advice = (
        "Give all faces of a group the same subject_id, or keep only one of them, and run featurekit"
        " prepare again. audit_rows.csv lists the groups."
    )
    return f"{advice} {NO_FOLDS}" if given.folds is None else advice


CHECKS.add(Check(NAME, "nearly identical images", "warning", 50, look))
