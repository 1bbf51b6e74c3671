"""Divide the images of a data set into parts, which several processes or machines extract on their own."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurekit.data.manifest import Manifest
from featurekit.errors import ModelError


@dataclass(frozen=True)
class Part:
    """One of several parts of the images of a data set.

    The part of an image depends on nothing but the bytes of its file. So identical files are in the same
    part, and an image stays in its part if rows are added to the data set.

    Attributes:
        number: number of the part, from 1 to n_parts.
        n_parts: number of parts; all images are in the only part of 1.
    """

    number: int = 1
    n_parts: int = 1

    @classmethod
    def of(cls, shard: "str | tuple[int, int] | None") -> "Part":
        """Return the part for a value of --shard: "i/n", (i, n), or None for all images.

        Raises:
            ModelError: the value is none of these, or i is not from 1 to n.

        >>> Part.of("2/4") == Part.of((2, 4)) == Part(2, 4)
        True
        """
        if shard is None:
            return cls()
        text = "/".join(map(str, shard)) if isinstance(shard, tuple | list) else str(shard)
        found = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ModelError(
                "--shard must be the number of a part and the number of parts, counted from 1, for example"
                f" 1/4, 2/4, 3/4 or 4/4. Got '{text}' instead."
            )
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.n_parts}"

    def rows(self, manifest: Manifest) -> NDArray[np.bool_]:
        """Return a mask of the rows whose image is in this part, shape (n_rows,).

        A row without an image is in the first part, so that each row is in one part.
        """
        contents = manifest.table["content"]
        numbers = (int(content[:16] or "0", 16) % self.n_parts + 1 for content in contents)
        return np.fromiter((number == self.number for number in numbers), np.bool_, len(contents))


ALL = Part()
