"""Look into a HEIC or AVIF before anything is decoded.

Both formats consist of nested boxes that state the size of the image. The decoders
use the sizes that the coded images inside state once more, and an image may be put
together from thousands of parts. So a file of a few bytes could take gigabytes. This
module reads every size that a file states, so that it can be refused before decoding.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

# Items that may be in a file: coded images, images put together from these, and descriptions.
_IMAGES = (b"hvc1", b"av01")
_ITEMS = (*_IMAGES, b"grid", b"Exif", b"mime", b"uri ", b"tmap")
_MOST_PARTS = 2**16


class DamagedError(Exception):
    """The boxes are not what they must be."""


class EndsEarlyError(DamagedError):
    """Bytes are missing at the end of the file."""


class OddError(Exception):
    """The file is put together in a way that no camera or program is known to use."""


@dataclass(frozen=True)
class Sizes:
    """Every size that a file states.

    Attributes:
        shown: width and height of the largest image, by its properties.
        coded: width and height of the largest image, by what the decoder of the video format reads.
        work: pixels of all the images that one is put together from, at most.
    """

    shown: tuple[int, int]
    coded: tuple[int, int]
    work: int


@dataclass
class _Bytes:
    """Part of a file, up to end, read as big-endian numbers from a place that moves on."""

    data: bytes
    at: int
    end: int

    def take(self, n: int) -> bytes:
        if n < 0 or self.at + n > self.end:
            raise DamagedError("a part of it ends too early")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, n: int) -> int:
        return int.from_bytes(self.take(n))

    def text(self) -> bytes:
        place = self.data.find(b"\0", self.at, self.end)
        return self.take(self.end - self.at) if place < 0 else self.take(place + 1 - self.at)[:-1]

    def boxes(self) -> Iterator[tuple[bytes, "_Bytes"]]:
        """Yield name and content of each box."""
        while self.at + 8 <= self.end:
            start = self.at
            size, name = self.number(4), self.take(4)
            if size == 1:
                size = self.number(8)
            stop = start + size if size else self.end
            if stop > self.end or stop < self.at:
                raise (EndsEarlyError if self.end == len(self.data) else DamagedError)(
                    "a part is longer than what it is in"
                )
            yield name, _Bytes(self.data, self.at, stop)
            self.at = stop


def sizes_of(data: bytes) -> Sizes:
    """Return every size that a HEIC or AVIF states.

    Raises:
        DamagedError: its boxes are broken, or end early.
        OddError: it holds images of other kinds, or packed descriptions.
    """
    metas = [content for name, content in _Bytes(data, 0, len(data)).boxes() if name == b"meta"]
    if len(metas) != 1:
        raise DamagedError("it has no list of its images" if not metas else "it lists its images twice")
    metas[0].take(4)
    boxes: dict[bytes, _Bytes] = {}
    for name, content in metas[0].boxes():
        if name in boxes and name in (b"iinf", b"iloc", b"iprp", b"iref", b"pitm"):
            raise DamagedError(f"it contains the part '{name.decode('latin-1')}' twice")
        boxes[name] = content
    for name, problem in (
        (b"iinf", "it has no list of its images"),
        (b"iloc", "it does not say where its images are"),
    ):
        if name not in boxes:
            raise DamagedError(problem)
    kinds = _kinds(boxes[b"iinf"])
    shown, coded = _properties(boxes.get(b"iprp"))
    for item, stream in _contents(data, boxes[b"iloc"], boxes.get(b"idat")).items():
        kind = kinds.get(item)
        if kind == b"hvc1":
            coded.setdefault(item, []).extend(
                _sizes_in(stream, 4, lambda box: _size_in_nal(box.take(box.number(4))))
            )
        elif kind == b"av01":
            coded.setdefault(item, []).extend(_sizes_in(stream, 1, _size_in_obu))
        elif kind == b"grid":
            grid = _Bytes(stream, 0, len(stream))
            n_bytes = 4 if grid.number(4) >> 16 & 1 else 2
            shown.append((grid.number(n_bytes), grid.number(n_bytes)))
    all_coded = [size for sizes in coded.values() for size in sizes]
    if not shown or not all_coded:
        raise DamagedError("it does not say how large its image is")
    areas = {item: max(map(_area, sizes)) for item, sizes in coded.items() if sizes}
    work = _work(boxes[b"iref"], kinds, areas) if b"iref" in boxes else 0
    return Sizes(max(shown, key=_area), max(all_coded, key=_area), work)


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _kinds(box: _Bytes) -> dict[int, bytes]:
    """Return the kind of each item."""
    version = box.number(4) >> 24
    box.take(4 if version else 2)
    kinds: dict[int, bytes] = {}
    for name, entry in box.boxes():
        if name != b"infe":
            continue
        version = entry.number(4) >> 24
        if version < 2:
            raise OddError("its list of images has an old format")
        item = entry.number(4 if version > 2 else 2)
        entry.take(2)
        kind = entry.take(4)
        if kind not in _ITEMS:
            raise OddError(f"it contains an item of the kind '{kind.decode('latin-1')}'")
        if kind == b"mime":
            entry.text(), entry.text()
            if entry.at < entry.end and entry.text():
                raise OddError("it contains compressed metadata")
        kinds[item] = kind
    return kinds


def _properties(box: _Bytes | None) -> tuple[list[tuple[int, int]], dict[int, list[tuple[int, int]]]]:
    """Return the sizes shown, and item → the sizes in its HEVC headers, item -1 for all headers."""
    shown, coded = list[tuple[int, int]](), dict[int, list[tuple[int, int]]]()
    headers: dict[int, list[tuple[int, int]]] = {}
    for name, content in box.boxes() if box else ():
        if name == b"ipco":
            for number, (kind, part) in enumerate(content.boxes(), start=1):
                if kind == b"ispe":
                    part.take(4)
                    shown.append((part.number(4), part.number(4)))
                elif kind == b"hvcC":
                    headers[number] = _sizes_in_hevc_header(part)
        elif name == b"ipma":
            version_and_flags = content.number(4)
            for _ in range(content.number(4)):
                item = content.number(4 if version_and_flags >> 24 else 2)
                for _ in range(content.number(1)):
                    index = content.number(2) & 0x7FFF if version_and_flags & 1 else content.number(1) & 0x7F
                    coded.setdefault(item, []).extend(headers.get(index, []))
    coded[-1] = [size for sizes in headers.values() for size in sizes]
    return shown, coded


def _sizes_in_hevc_header(box: _Bytes) -> list[tuple[int, int]]:
    box.take(21)
    if box.number(1) & 3 != 3:
        raise OddError("the length fields of its parts are shorter than 4 bytes")
    sizes = []
    for _ in range(box.number(1)):
        box.take(1)
        for _ in range(box.number(2)):
            sizes += _size_in_nal(box.take(box.number(2)))
    return sizes


def _contents(data: bytes, box: _Bytes, item_data: _Bytes | None) -> dict[int, bytes]:
    """Return the bytes of each item."""
    version = box.number(4) >> 24
    sizes = box.number(2)
    of_offset, of_length, of_base, of_index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    contents: dict[int, bytes] = {}
    total = 0
    for _ in range(box.number(4 if version > 1 else 2)):
        item = box.number(4 if version > 1 else 2)
        method = box.number(2) & 15 if version else 0
        box.take(2)
        base = box.number(of_base)
        if method > 1:
            raise OddError("an image consists of parts of another image")
        if method and item_data is None:
            raise DamagedError("the part that contains its images is missing")
        start, end = (item_data.at, item_data.end) if method and item_data else (0, len(data))
        parts = []
        for _ in range(box.number(2)):
            if version and of_index:
                box.take(of_index)
            place = start + base + box.number(of_offset)
            length = box.number(of_length) or end - place
            total += length
            if length < 0 or place + length > end:
                raise (DamagedError if method else EndsEarlyError)("an image is behind the end of the file")
            if total > 2 * len(data):
                raise OddError("its images use the same bytes many times")
            parts.append(data[place : place + length])
        contents[item] = b"".join(parts)
    return contents


def _work(box: _Bytes, kinds: Mapping[int, bytes], areas: Mapping[int, int]) -> int:
    """Return the pixels of all the images that one is put together from, at most."""
    width = 4 if box.number(4) >> 24 else 2
    most = 0
    for name, content in box.boxes():
        item, count = content.number(width), content.number(2)
        if name == b"dimg" and kinds.get(item) == b"grid":
            parts = [content.number(width) for _ in range(count)]
            if any(kinds.get(part) not in _IMAGES for part in parts):
                raise OddError("an image is composed of images that are composed of images")
            most = max(most, sum(areas.get(part, 0) for part in parts))
    return most


class _Bits:
    """Numbers of any number of bits, from the first on."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data), 8 * len(data)

    def number(self, n: int) -> int:
        if n > self._left:
            raise DamagedError("the header of an image ends early")
        self._left -= n
        return self._value >> self._left & (1 << n) - 1

    def golomb(self) -> int:
        """Return a number that begins with as many zeros as it has further bits."""
        for zeros in range(33):
            if self.number(1):
                return (1 << zeros) - 1 + self.number(zeros)
        raise DamagedError("the header of an image is broken")


def _sizes_in(
    content: bytes, least: int, next_size: Callable[[_Bytes], list[tuple[int, int]]]
) -> list[tuple[int, int]]:
    """Return width and height wherever a part of a coded image states them.

    Args:
        content: the coded image.
        least: bytes that a part has at least.
        next_size: reads the next part, and returns the size that it states, if it states one.
    """
    box, sizes = _Bytes(content, 0, len(content)), list[tuple[int, int]]()
    for _ in range(_MOST_PARTS):
        if box.at + least > box.end:
            return sizes
        sizes += next_size(box)
    raise OddError("an image has very many parts")


def _size_in_nal(nal: bytes) -> list[tuple[int, int]]:
    """Return width and height where a part of an HEVC stream states them."""
    if len(nal) < 3 or nal[0] >> 1 & 63 != 33:
        return []
    bits = _Bits(nal[2:1024].replace(b"\0\0\3", b"\0\0"))
    bits.number(4)
    layers = bits.number(3)
    bits.number(1 + 96)
    present = [(bits.number(1), bits.number(1)) for _ in range(layers)]
    if layers:
        bits.number(2 * (8 - layers))
    for profile, level in present:
        bits.number(88 * profile + 8 * level)
    bits.golomb()
    if bits.golomb() == 3:
        bits.number(1)
    return [(bits.golomb(), bits.golomb())]


def _size_in_obu(box: _Bytes) -> list[tuple[int, int]]:
    """Read a part of an AV1 stream, and return width and height if it is a sequence header."""
    head = box.number(1)
    if head & 4:
        box.take(1)
    length = 0
    if head & 2:
        for place in range(8):
            part = box.number(1)
            length |= (part & 127) << 7 * place
            if part < 128:
                break
    else:
        length = box.end - box.at
    content = box.take(length)
    return [_size_in_sequence(content)] if head >> 3 & 15 == 1 else []


def _size_in_sequence(header: bytes) -> tuple[int, int]:
    bits = _Bits(header[:1024])
    bits.number(4)
    if bits.number(1):  # of a single image
        bits.number(5)
    else:
        n_delay = 0
        if bits.number(1):
            bits.number(64)
            if bits.number(1):
                bits.golomb()
            if bits.number(1):  # with a model of the decoder
                n_delay = bits.number(5) + 1
                bits.number(32 + 5 + 5)
        has_delay = bits.number(1)
        for _ in range(bits.number(5) + 1):
            bits.number(12)
            if bits.number(5) > 7:
                bits.number(1)
            if n_delay and bits.number(1):
                bits.number(2 * n_delay + 1)
            if has_delay and bits.number(1):
                bits.number(4)
    of_width, of_height = bits.number(4) + 1, bits.number(4) + 1
    return bits.number(of_width) + 1, bits.number(of_height) + 1
