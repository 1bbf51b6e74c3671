"""Files in a bucket, named by URL and read through fsspec: s3://, gs://, az:// and, for tests, memory://.

A place of files is a folder of this machine or the URL of a folder in a bucket. Both are a Path, so that the
names of files are joined in the same way. The credentials are those of the environment (variables, files of
the cloud's own tools, or the role of the machine). featurekit neither takes, stores nor prints them.
Therefore an error is told in featurekit's own words, and the text of the cloud's library is left out.
"""

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path, PosixPath, PurePath
from typing import Any

from featurekit.errors import WorkspaceError

# Scheme of a URL → the package that fsspec needs for it.
SCHEMES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "memory": "fsspec"}
# At least two letters: C:/ is a drive.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://?(.*)", re.DOTALL)
_OF_A_CLOUD = ("aiobotocore", "aiohttp", "azure", "botocore", "google", *SCHEMES.values())
_NO_CREDENTIALS = re.compile("NoCredentials|PartialCredentials|CredentialRetrieval|DefaultCredentials|NoAuth")
_NO_BUCKET = "there is no such bucket"
_BUSY = ("ConditionalRequestConflict", "OperationAborted", "ServiceUnavailable", "SlowDown", "409", "503")
_NO_ANSWER = re.compile("Timeout|EndpointConnection|ConnectionClosed|ClientConnect|ClientOS|ServerDisconnect")


class UrlPath(PosixPath):
    """The name of a file or folder in a bucket, such as s3://bucket/cache/faces.

    It is joined and split like the path of a file of this machine, and str() gives the URL. Whatever tries to
    open it as a file of this machine gets an error.

    >>> UrlPath("s3://bucket/photos") / "anna.jpg"
    UrlPath('s3://bucket/photos/anna.jpg')
    """

    def __str__(self) -> str:
        text = super().__str__()
        scheme, mark, rest = text.partition(":/")
        return f"{scheme}://{rest}" if mark and scheme in SCHEMES else text

    def __fspath__(self) -> str:
        raise WorkspaceError(
            f"{self} is in a bucket, and this can only use files and folders of this machine. Copy the files"
            " to a folder of this machine first."
        )

    def is_absolute(self) -> bool:
        """Return True, because a URL is relative to nothing."""
        return True

    def absolute(self) -> "UrlPath":
        """Return the path itself."""
        return self

    def resolve(self, strict: bool = False) -> "UrlPath":
        """Return the path itself."""
        return self

    @property
    def scheme(self) -> str:
        """The scheme of the URL, such as "s3"."""
        return self.parts[0].removesuffix(":")


def place_of(place: str | os.PathLike[str]) -> Path:
    """Return the folder of this machine, or in a bucket, that a path or URL names.

    >>> place_of("s3://bucket/cache"), place_of("work/cache").name
    (UrlPath('s3://bucket/cache'), 'cache')

    Raises:
        WorkspaceError: a URL has another scheme, names no bucket, or contains a password or a query.
    """
    text = str(place)
    found = _URL.fullmatch(text)
    # Path() makes s3:/bucket of s3://bucket.
    if not found or ("://" not in text and not isinstance(place, PurePath)):
        return Path(place)
    scheme, rest = found[1].lower(), found[2].strip("/")
    if scheme not in SCHEMES:
        if "://" not in text:
            return Path(place)
        raise WorkspaceError(
            f"A URL with {scheme}:// cannot be used. Known: {', '.join(f'{one}://' for one in SCHEMES)}."
        )
    # The URL is not shown, because it may contain a secret.
    if "@" in rest.partition("/")[0] or "?" in rest:
        raise WorkspaceError(
            f"A {scheme}:// URL must not contain a user, a password or a query (@ or ?). Give"
            f" {scheme}://BUCKET/FOLDER alone: the credentials are taken from the environment."
        )
    if not rest or any(part in (".", "..") for part in rest.split("/")):
        raise WorkspaceError(f"'{text}' names no folder of a bucket. Example: {scheme}://BUCKET/FOLDER")
    if not rest.isprintable():
        raise WorkspaceError(f"A {scheme}:// URL must not contain characters that cannot be printed.")
    return UrlPath(f"{scheme}:/{rest}")


def is_in_memory(place: Path | None) -> bool:
    """Whether a place is in the memory of this process (memory://), so that no other process can use it."""
    return isinstance(place, UrlPath) and place.scheme == "memory"


class Bucket:
    """The files of one kind of bucket; every method raises an OSError without secrets if it fails.

    Args:
        scheme: scheme of the URLs, such as "s3".

    Raises:
        WorkspaceError: a package is not installed.
    """

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        try:
            import fsspec

            # A listing that is kept would hide the files of other writers.
            self._files: Any = fsspec.filesystem(scheme, use_listings_cache=False)
        except ImportError as error:
            package = SCHEMES[scheme]
            with_it = "" if scheme in ("s3", "memory") else f" {package}"  # which featurekit[buckets] lacks
            raise WorkspaceError(
                f"{scheme}:// needs the package {package}: pip install 'featurekit[buckets]'{with_it}"
            ) from error

    def signature(self, path: Path) -> tuple[int, int]:
        """Return the size of a file, and a number that changes when the file is written again.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        with _plain_errors(path):
            facts = self._files.info(str(path))
        if facts["type"] != "file":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return _signature(facts)

    def read(self, path: Path, start: int | None = None, end: int | None = None) -> bytes:
        """Return the bytes of a file, or some of them.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        with _plain_errors(path):
            return bytes(self._files.cat_file(str(path), start=start, end=end))

    def create(self, path: Path, data: bytes) -> None:
        """Write a file that does not exist.

        Raises:
            FileExistsError: the file exists; it is not changed.
        """
        with _plain_errors(path):
            self._files.pipe_file(str(path), data, mode="create")

    def replace(self, path: Path, data: bytes) -> None:
        """Write a file as a whole; a file of this name is replaced.

        Raises:
            OSError: the file cannot be written, or the bucket has not stored all of it.
        """
        with _plain_errors(path):
            self._files.pipe_file(str(path), data)
        if self.signature(path)[0] != len(data):
            raise OSError(errno.EREMOTEIO, "the bucket has not stored the whole file", str(path))

    def listed(self, folder: Path) -> tuple[dict[str, tuple[int, int]], list[str]]:
        """Return name → signature of each file in a folder, and the names of its subfolders.

        Raises:
            FileNotFoundError: the bucket does not exist; a folder without files is empty.
        """
        files, folders = dict[str, tuple[int, int]](), list[str]()
        try:
            with _plain_errors(folder):
                found = self._files.ls(str(folder), detail=True, refresh=True)
        except FileNotFoundError as error:
            if error.strerror == _NO_BUCKET:
                raise
            return files, folders
        above = self._files._strip_protocol(str(folder)).rstrip("/")
        for facts in found:
            parent, _, name = facts["name"].rstrip("/").rpartition("/")
            if parent == above and name:  # else the mark of the folder itself, or a file of that name
                if facts["type"] == "file" and not facts["name"].endswith("/"):
                    files[name] = _signature(facts)
                elif facts["type"] == "directory":
                    folders.append(name)
        return files, sorted(folders)

    def copy(self, path: Path, to: Path) -> None:
        """Copy a file inside the bucket; a file that exists is replaced."""
        with _plain_errors(path):
            self._files.cp_file(str(path), str(to))

    def delete(self, path: Path) -> None:
        """Remove a file; many buckets say nothing if it does not exist."""
        with _plain_errors(path):
            self._files.rm_file(str(path))

    def keeps_versions(self, path: Path) -> bool | None:
        """Return whether the bucket keeps, or has kept, old versions of files; None if it is not known."""
        if self.scheme != "s3":
            return False if self.scheme == "memory" else None
        with _plain_errors(path):
            facts = self._files.call_s3("get_bucket_versioning", Bucket=path.parts[1])
        return facts.get("Status") in ("Enabled", "Suspended")


def _signature(facts: Mapping[str, Any]) -> tuple[int, int]:
    """Return size and a number of the version of a file, from what its bucket says about it."""
    names = ("generation", "ETag", "etag", "LastModified", "last_modified", "mtime", "created")
    version = next((facts[name] for name in names if facts.get(name) is not None), "")
    if hasattr(version, "timestamp"):
        version = version.timestamp()
    return int(facts["size"]), int.from_bytes(blake2b(str(version).encode(), digest_size=7).digest())


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Turn what a cloud's library raises into an OSError that says what is wrong, and contains no secret.

    Args:
        path: the file or folder that is used.
    """
    try:
        yield
    # As broad as this because the libraries of the clouds have no common base class. What is not theirs is
    # raised again.
    except Exception as error:
        if not isinstance(error, OSError) and not type(error).__module__.startswith(_OF_A_CLOUD):
            raise
        # A traceback does not show the error of the library.
        raise _plain(error, str(path)) from None


def _plain(error: Exception, name: str) -> OSError:
    code = _code_of(error)
    said = f" ({code})" if code else ""
    kind = " ".join(one.__name__ for one in type(error).__mro__)
    if isinstance(error, FileExistsError) or code in ("PreconditionFailed", "412"):
        return FileExistsError(errno.EEXIST, "the file exists already", name)
    if isinstance(error, FileNotFoundError):
        no = _NO_BUCKET if code == "NoSuchBucket" else os.strerror(errno.ENOENT)
        return FileNotFoundError(errno.ENOENT, no, name)
    if _NO_CREDENTIALS.search(kind):
        return PermissionError(errno.EACCES, "the environment has no credentials for this bucket", name)
    if isinstance(error, PermissionError):
        return PermissionError(errno.EACCES, f"access is denied{said}", name)
    if code in _BUSY:
        return OSError(errno.EBUSY, f"the bucket is busy{said}", name)
    if _NO_ANSWER.search(kind) or isinstance(error, ConnectionError):
        return TimeoutError(errno.ETIMEDOUT, "the server cannot be reached, or stopped answering", name)
    # EIO would say that the file is damaged.
    number = error.errno if isinstance(error, OSError) else None
    number = errno.EREMOTEIO if number in (None, errno.EIO) else number
    return OSError(number, f"{os.strerror(number or 0)}{said or f' ({type(error).__name__})'}", name)


def _code_of(error: BaseException | None) -> str:
    """Return the code of an answer of the cloud, such as "AccessDenied"; "" if there is none."""
    while error is not None:
        response = getattr(error, "response", None)
        code = response.get("Error", {}).get("Code", "") if isinstance(response, Mapping) else ""
        code = code or getattr(error, "error_code", None) or getattr(error, "code", None) or ""
        if re.fullmatch("[A-Za-z0-9]{1,60}", str(code)):
            return str(code)
        error = error.__cause__
    return ""
