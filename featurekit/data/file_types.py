"""Recognize the format of an image file by the first bytes of the file.

The name of a file is not reliable: a PNG may be named .jpg, and a JPEG may be named .jfif or have no file
extension. The search for images in a folder and the decoding of images use the same functions, so that they
agree on which files are images.
"""

# How many first bytes of a file kind_of() needs.
HEAD = 64

# The kinds that featurekit.faces.images decodes.
DECODED = ("JPEG", "PNG", "WebP", "BMP", "GIF", "TIFF", "HEIC", "AVIF")

# Endings of files that are meant to be images: such a file is never left out, whatever it contains.
_IMAGES = "jpg jpeg jpe jfif jif pjpeg pjp png apng webp bmp dib gif tif tiff heic heif hif avif jp2 j2k jxl"
ENDINGS = frozenset(f".{ending}" for ending in _IMAGES.split())
# Raw files of cameras are TIFFs that begin with a small copy of the image, which must not be read instead.
_RAW = "3fr arw cr2 cr3 crw dcr dng erf iiq kdc mef mos mrw nef nrw orf pef raf raw rw2 sr2 srf srw x3f"
RAW_ENDINGS = frozenset(f".{ending}" for ending in _RAW.split())

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
)
# Files that are not images, and that messages can name.
_NO_IMAGES = ((b"%PDF", "PDF"), (b"\0\0\1\0", "icon"))
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)

_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


def kind_of(head: bytes) -> str:
    """Return the format of a file that begins with these bytes, "" if the format is not known.

    >>> kind_of(b"GIF89a..."), kind_of(b"....ftypheic...."), kind_of(b"....ftypisom...."), kind_of(b"hello")
    ('GIF', 'HEIC', 'film', '')
    """
    for signature, kind in (*_SIGNATURES, *_NO_IMAGES):
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        others = {head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4]), HEAD), 4)}
        for brands in ({head[8:12]}, others):
            if brands & _AVIF:
                return "AVIF"
            if brands & (_HEIC - {b"mif1", b"msf1"}):
                return "HEIC"
        return "HEIC" if head[8:12] in _HEIC else "film"
    return ""


def is_image(head: bytes) -> bool:
    r"""Return whether a file that begins with these bytes is an image, possibly in an unsupported format.

    A text file may begin with "BM" like a BMP image, so the header of a BMP is checked too.

    >>> is_image(b"\xff\xd8\xff\xe0"), is_image(b"BMI,age"), is_image(b"....ftypqt  ")
    (True, False, False)
    """
    kind = kind_of(head)
    if kind == "BMP":
        return int.from_bytes(head[14:18], "little") in _BMP_HEADERS
    if kind == "JPEG XL":
        return head[:1] == b"\0"  # the other signature is two bytes, which much else begins with
    return kind not in ("", "film", *(kind for _, kind in _NO_IMAGES))
