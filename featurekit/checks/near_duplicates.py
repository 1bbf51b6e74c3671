"""Check for images that are the same except for their encoding, size, colours or a watermark.

Hashes of 64 bits find pairs of images that may be the same. The correlations of their details confirm them.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.checks.base import AT_ONCE, LABELS, NO_FOLDS, Given, check, in_pieces, lacking
from featurekit.errors import ImageError
from featurekit.faces.images import decode, read_bytes, reduction
from featurekit.files import is_folder, is_outside
from featurekit.findings import Finding
from featurekit.progress import Progress
from featurekit.text import counted
from featurekit.urls import UrlPath

NAME = "near_duplicates"
# An image is scaled to a grey square with this many pixels a side.
_SIDE = 32
# The 64 lowest frequencies of the square give the hash. The frequencies from the first of these numbers to
# below the second give the details. Lower ones are light and the place of the face, which aligned faces of
# different people have in common; higher ones do not survive a change of size.
_DETAILS = (6, 20)
# Two images are candidates if one of the four 16-bit parts of their hashes is equal (which is always so when
# they differ in at most 3 bits) and they differ in at most MOST_BITS. The correlation of their details
# decides. Of the 11,541 face crops of UTKFace, 1,201 pairs are candidates. All 163 with a correlation above
# 0.90 show the same photograph (they were looked at); the highest correlation of different people is 0.88.
MOST_BITS, ALIKE = 8, 0.92
# Grey levels (root mean square) that the details must have: all plain surfaces look the same.
_PLAIN = 1.0
# If more images than this have one part of the hash in common, each is compared only with the next NEXT_ONLY
# in the order of the hashes.
MOST_IN_COMMON, NEXT_ONLY = 5_000, 16
_IMAGES_AT_ONCE, _IMAGES_A_TASK = 512, 16


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


def _has_any(root: Path, paths: Iterable[str]) -> bool:
    """Whether any of the images is still there; in a bucket, whether the folder of the images is."""
    if isinstance(root, UrlPath):
        return is_folder(root)
    return any((root / path).exists() for path in paths)


def _n_differing(keys: NDArray[np.str_], labels: NDArray[np.str_], which: NDArray[np.bool_]) -> int:
    """Return in how many groups of the rows the labels differ; the label "" is ignored."""
    known = which & (labels != "")
    return int((pd.Series(labels[known]).groupby(keys[known]).agg("nunique") > 1).sum())


@check(NAME, "nearly identical images", "warning", 50)
def look(given: Given) -> Finding:
    """Find images that are the same except for their encoding, size, colours or a watermark."""
    if not given.pictures:
        return lacking(NAME, "The images were not read.", "Next: featurekit audit without --no-images.")
    has_image = given.manifest.usable & (given.manifest.table["content"] != "").to_numpy()
    if not has_image.any():
        return lacking(NAME, "No usable row has a readable image.", "Next: featurekit prepare.")
    n_faces = int(has_image.sum())
    root = given.manifest.root
    if not _has_any(root, given.manifest.table["image_path"][has_image]):
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


def look_at(
    root: Path, paths: Sequence[str], threads: int, progress: Progress | None
) -> tuple[NDArray[np.uint64], NDArray[np.float16]]:
    """Return the hashes and the fine details of images, shapes (n,) and (n, n_details).

    The details of an image are a vector of length 1, so that the product of two such vectors is the
    correlation of two images. They are NaN for an image that cannot be read or has nearly no detail.
    """
    from scipy.fft import dctn

    row, column = np.divmod(np.arange(_SIDE**2), _SIDE)
    lowest = np.lexsort((row, row + column))[1:65]  # without the first, which is the mean
    detail = np.flatnonzero((row + column >= _DETAILS[0]) & (row + column < _DETAILS[1]))
    hashes = np.zeros(len(paths), np.uint64)
    details = np.full((len(paths), len(detail)), np.nan, np.float16)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), _IMAGES_AT_ONCE):
            here = paths[start : start + _IMAGES_AT_ONCE]
            tasks = [here[first : first + _IMAGES_A_TASK] for first in range(0, len(here), _IMAGES_A_TASK)]
            some = [one for of in pool.map(partial(_thumbnails, root), tasks) for one in of]
            there = start + np.flatnonzero([one is not None for one in some])
            if len(there):
                grey = np.stack([one for one in some if one is not None]).astype(np.float32)
                waves = dctn(grey, axes=(1, 2), norm="ortho").reshape(len(grey), -1)
                low = waves[:, lowest]
                bits = np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)
                hashes[there] = np.ascontiguousarray(bits).view(">u8").ravel()
                strength = np.linalg.norm(waves[:, detail], axis=1, keepdims=True)
                with np.errstate(divide="ignore", invalid="ignore"):
                    details[there] = np.where(strength / _SIDE >= _PLAIN, waves[:, detail] / strength, np.nan)
            if progress:
                progress(min(start + _IMAGES_AT_ONCE, len(paths)), len(paths))
    return hashes, details


def _thumbnails(root: Path, paths: Sequence[str]) -> list[NDArray[np.uint8] | None]:
    return [_thumbnail(root, path) for path in paths]


def _thumbnail(root: Path, path: str) -> NDArray[np.uint8] | None:
    """Return an image as a small grey square; None if it cannot be read or its path leads out of root."""
    from PIL import Image

    if is_outside(root / path, root):
        return None
    try:
        data = read_bytes(root / path)
        pixels = decode(data, factor=reduction(data))
    except ImageError:
        return None
    return np.asarray(Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX))


def candidates(hashes: NDArray[np.uint64]) -> tuple[NDArray[np.intp], int]:
    """Return the pairs of hashes that differ in at most MOST_BITS bits and have an equal 16-bit part.

    Args:
        hashes: hash of each image, shape (n,).

    Returns:
        Pairs of positions in hashes, shape (n_pairs, 2), and the number of hashes that were compared with
        some other hashes only, because too many other hashes have an equal part.
    """
    found = [np.empty((0, 2), np.intp)]
    is_cut = np.zeros(len(hashes), bool)
    shifts = np.arange(4, dtype=np.uint64) * np.uint64(16)
    part = np.uint64(0xFFFF)
    for band, shift in enumerate(shifts):
        own = (hashes >> shift) & part
        order = np.lexsort((hashes, own))
        _, start, size = np.unique(own[order], return_index=True, return_counts=True)
        end = np.repeat(start + size, size)  # where the group of hashes with the same part ends
        reach = np.repeat(np.where(size > MOST_IN_COMMON, NEXT_ONLY, size), size)
        is_cut[order] |= np.repeat(size > MOST_IN_COMMON, size)
        here = np.arange(len(hashes))
        for step in range(1, int(reach.max(initial=0)) + 1):
            here = here[(reach[here] >= step) & (here + step < end[here])]
            if not len(here):
                break
            one, other = order[here], order[here + step]
            different = hashes[one] ^ hashes[other]
            near = np.bitwise_count(different) <= MOST_BITS
            for earlier in shifts[:band]:  # pairs that agree in an earlier part have been found there
                near &= ((different >> earlier) & part) != 0
            found.append(np.stack([one[near], other[near]], axis=1))
    pairs = np.sort(np.concatenate(found), axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], int(is_cut.sum())


def are_alike(details: NDArray[np.float16], pairs: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return a mask of the pairs of images with a correlation of ALIKE or more, shape (n_pairs,)."""
    found = np.zeros(len(pairs), bool)
    for piece in in_pieces(np.arange(len(pairs)), AT_ONCE // details.shape[1]):
        one, other = pairs[piece].T
        found[piece] = np.einsum("ij,ij->i", details[one], details[other], dtype=np.float32) >= ALIKE
    return found
