"""Find images that look the same: 64-bit hashes find candidate pairs, and correlations confirm them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featurekit.checks.base import AT_ONCE, in_pieces
from featurekit.errors import ImageError
from featurekit.faces.images import decode, read_bytes, reduction
from featurekit.files import leads_out
from featurekit.progress import Progress

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
_IMAGES_AT_ONCE = 512


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
            some = list(pool.map(lambda path: _thumbnail(root, path), paths[start : start + _IMAGES_AT_ONCE]))
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


def _thumbnail(root: Path, path: str) -> NDArray[np.uint8] | None:
    """Return an image as a small grey square; None if it cannot be read or its path leads out of root."""
    from PIL import Image

    if leads_out(root / path, root):
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
