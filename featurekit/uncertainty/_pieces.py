"""Compute large products in pieces that fit into memory."""

from collections.abc import Iterator

_AT_ONCE = 20_000_000  # numbers in one piece of a large product


def pieces(n: int, width: int, at_once: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield the start and end of pieces of n rows of this width, so that each piece fits into memory."""
    size = max((at_once or _AT_ONCE) // max(width, 1), 1)
    yield from ((start, min(start + size, n)) for start in range(0, n, size))
