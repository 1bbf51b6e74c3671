"""Check for images that are the same except for their encoding, size, colours or a watermark."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.checks.base import CHECKS, LABELS, NO_FOLDS, Check, Given, lacking
from featurekit.checks.image_hash import MOST_IN_COMMON, NEXT_ONLY, are_alike, candidates, look_at
from featurekit.findings import Finding
from featurekit.text import counted

NAME = "near_duplicates"


class _Alike(NamedTuple):
    """Which images are nearly identical.

    Attributes:
        keys: the group of near duplicates that each row belongs to, "" for none.
        n_images: number of images; identical files count once.
        n_unseen: number of images that cannot be read or are too plain.
        n_cut: number of images that were compared only with some of those with a similar hash.
        n_compared, n_alike: numbers of pairs.
    """

    keys: NDArray[np.str_]
    n_images: int
    n_unseen: int
    n_cut: int
    n_compared: int
    n_alike: int


def _alike(given: Given, has_image: NDArray[np.bool_]) -> _Alike:
    """Return which rows' images are nearly identical, directly or by way of others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = np.flatnonzero(has_image)
    # Identical files count as one image: another check looks for them.
    image_of, contents = pd.factorize(given.manifest.table["content"].to_numpy(dtype=object)[rows])
    n = len(contents)
    first = np.unique(image_of, return_index=True)[1]
    paths = given.manifest.table["image_path"].to_numpy(dtype=str)[rows[first]].tolist()
    hashes, details = look_at(given.manifest.root, paths, given.threads, given.progress)
    seen = np.flatnonzero(np.isfinite(details[:, 0]))
    pairs, n_cut = candidates(hashes[seen])
    alike = seen[pairs[are_alike(details, seen[pairs])]]
    links = coo_array((np.ones(len(alike), bool), (alike[:, 0], alike[:, 1])), shape=(n, n))
    group = connected_components(links, directed=False)[1]
    names = np.array([f"{number:09}" for number in group])
    keys = np.full(len(has_image), "", dtype=names.dtype)
    keys[rows] = np.where(np.isin(group, group[alike[:, 0]]), names, "")[image_of]
    return _Alike(keys, n, n - len(seen), n_cut, len(pairs), len(alike))


def _n_differing(keys: NDArray[np.str_], labels: NDArray[np.str_], which: NDArray[np.bool_]) -> int:
    """Return in how many groups of the rows the labels differ; the label "" is ignored."""
    known = which & (labels != "")
    return int((pd.Series(labels[known]).groupby(keys[known]).agg("nunique") > 1).sum())


def look(given: Given) -> Finding:
    """Find images that are the same except for their encoding, size, colours or a watermark."""
    if not given.pictures:
        return lacking(NAME, "The images were not read.", "Next: featurekit audit without --no-images.")
    has_image = given.manifest.usable & (given.manifest.table["content"] != "").to_numpy()
    if not has_image.any():
        return lacking(NAME, "No usable row has a readable image.", "Next: featurekit prepare.")
    n_faces = int(has_image.sum())
    root = given.manifest.root
    if not any((root / path).exists() for path in given.manifest.table["image_path"][has_image]):
        return Finding(
            name=NAME,
            severity="warning",
            count=0,
            of=n_faces,
            what=f"No image was read, because none of the {n_faces:,} images is below {root} any more.",
            advice="Move the folder back, or run featurekit prepare on its new location.",
        )
    alike = _alike(given, has_image)
    concerned, across = alike.keys != "", given.across(alike.keys)
    n_groups, n_across = (len(np.unique(alike.keys[which])) for which in (concerned, across))
    differing = {label: _n_differing(alike.keys, given.column(label), concerned) for label in LABELS}
    return Finding(
        name=NAME,
        severity="warning" if n_across else "note" if n_groups or alike.n_cut or alike.n_unseen else "ok",
        count=int(concerned.sum()),
        of=n_faces,
        what=_what(given, alike, across, n_faces, differing),
        advice=(
            "Give all faces of a group the same subject_id, or keep only one of them, and run featurekit"
            " prepare again. audit_rows.csv lists the groups."
            + (f" {NO_FOLDS}" if given.folds is None else "")
            if n_groups
            else ""
        ),
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
    labels = ", ".join(f"{n:,} by {label.replace('_', ' ')}" for label, n in differing.items() if n)
    sentences = (
        f"{concerned.sum():,} of {n_faces:,} faces are in {counted(n_groups, 'group', 'groups')} of"
        " near-duplicates: the same image with another encoding, size or colour."
        if n_groups
        else f"No two of {alike.n_images - alike.n_unseen:,} images are near-duplicates.",
        f"Groups with test images in several folds: {n_across:,} ({across.sum():,} faces)."
        if n_groups and given.folds is not None
        else "",
        f"Groups whose labels differ: {labels}." if labels else "",
        f"{counted(alike.n_unseen, 'image', 'images')} could not be compared (not readable, or too little"
        " detail)."
        if alike.n_unseen
        else "",
        f"{alike.n_cut:,} images have a hash similar to those of more than {MOST_IN_COMMON:,} other images,"
        f" and were compared only with the next {NEXT_ONLY} of these."
        if alike.n_cut
        else "",
    )
    return " ".join(filter(None, sentences))


CHECKS.add(Check(NAME, "nearly identical images", "warning", 50, look))
