"""What tests share: where the evaluation photographs and the builtin weights are."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from featurekit.naming import Caller
from featurekit.networks import weights

if TYPE_CHECKING:
    from featurekit.data.manifest import Manifest
    from featurekit.embeddings.recipe import Recipe
    from featurekit.faces.settings import FaceSettings
    from featurekit.urls import UrlPath

ROOT = Path(__file__).parents[1]
# Files that take minutes, where `make slow` would otherwise wait for the last of them on one process alone.
LONG = (
    *("contracts/test_backbones.py", "cli/test_examples.py", "test_isolation.py"),
    *("uncertainty/test_simulations.py", "test_tutorial.py", "test_plugins.py", "test_one_file.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; the order is otherwise that of the folders."""
    place = {ROOT / "tests" / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(LONG)))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the evaluation photographs; the test is skipped where it is absent."""
    folder = Path(os.environ.get("FEATUREKIT_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no evaluation photographs at {folder} (FEATUREKIT_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def adience_subjects(real_data: Path) -> NDArray[np.str_]:
    """The persons of Adience's 19,000 photographs, at hand or not; some have hundreds."""
    from featurekit.data.prepare import prepare

    manifest = prepare("adience", real_data / "adience")
    return manifest.subjects[manifest.table["reason"].isin(["", "missing_file"])]


@pytest.fixture
def builtin_weights() -> None:
    """The test is skipped where the builtin weights have not been fetched."""
    absent = [entry.name for entry in weights.WEIGHTS.values() if entry.is_builtin]
    absent = [name for name in absent if not weights.present(name)]
    if absent:
        pytest.skip(f"the weights of {', '.join(absent)} are absent: featurekit weights fetch builtin")


@pytest.fixture(autouse=True)
def _messages_as_written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are compared as they are written, with options; tests/api compares what a program reads."""
    monkeypatch.setattr(Caller, "is_command_line", "api" not in request.path.parts)


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """A marker alone is enough to skip a test where what it needs is absent."""
    for marker, fixture in (("weights", "builtin_weights"), ("real_data", "real_data")):
        if request.node.get_closest_marker(marker):
            request.getfixturevalue(fixture)


@pytest.fixture(scope="session")
def made_up_dlib_file() -> Callable[..., bytes]:
    """Write a file as dlib's of its face recognition network, with random weights."""
    from featurekit.networks.backbones._dlib_face_module import BLOCKS

    def whole_number(value: int) -> bytes:
        n_bytes = max((value.bit_length() + 7) // 8, 1)
        return bytes([n_bytes]) + value.to_bytes(n_bytes, "little")

    def tensor(numbers: NDArray[np.float64], *sides: int) -> bytes:
        shape = [2, *sides, *[1] * (4 - len(sides))]  # behind the version of the format
        return b"".join(map(whole_number, shape)) + numbers.astype("<f4").tobytes()

    def write(*, blocks: Sequence[tuple[int, bool]] = BLOCKS, embedding: int = 128) -> bytes:
        rng = np.random.default_rng(0)
        parts = [b"\x01\x01\x01\x0dloss_metric_2", b"\x01\x15input_rgb_image_sized"]

        def step(n_inputs: int, n_outputs: int, size: int) -> None:
            n_weights = n_outputs * n_inputs * size * size
            # As in dlib's: small weights, and factors that make up for it.
            scale = np.sqrt(2 / (n_inputs * size * size)) / 8
            numbers = np.concatenate([rng.normal(0, scale, n_weights), rng.normal(0, 0.01, n_outputs)])
            parts.append(b"\x01\x05con_4" + tensor(numbers, len(numbers)) + b"\x01\x07")
            affine = np.concatenate([rng.uniform(4, 8, n_outputs), rng.normal(0, 0.1, n_outputs)])
            parts.append(b"\x01\x07affine_" + tensor(affine, len(affine)) + b"\x01\x01")

        step(3, 32, 7)
        width = 32
        for n_outputs, _ in blocks:
            step(width, n_outputs, 3)
            step(n_outputs, n_outputs, 3)
            width = n_outputs
        fully = b"\x01\x04fc_2" + whole_number(embedding) + whole_number(256)
        parts.append(fully + tensor(rng.normal(0, 0.1, 256 * embedding), 256, embedding))
        return b"".join(parts)

    return write


@pytest.fixture
def made_up_predictor_file(tmp_path: Path) -> Callable[..., bytes]:
    """Write a file as dlib's of its shape predictor, with small trees; the test is skipped without dlib."""

    def write(n_points: int = 68) -> bytes:
        dlib = pytest.importorskip("dlib", reason="dlib is missing: pip install 'featurekit[landmarks]'")
        rng = np.random.default_rng(0)
        options = dlib.shape_predictor_training_options()
        options.cascade_depth, options.tree_depth, options.num_trees_per_cascade_level = 2, 2, 20
        options.oversampling_amount, options.feature_pool_size, options.num_test_splits = 2, 50, 5
        images = [rng.integers(0, 256, (60, 60, 3), dtype=np.uint8) for _ in range(6)]
        face = dlib.rectangle(10, 10, 49, 49)
        places = rng.integers(10, 50, (6, n_points, 2)).tolist()
        found = [[dlib.full_object_detection(face, [dlib.point(*at) for at in one])] for one in places]
        dlib.train_shape_predictor(images, found, options).save(str(tmp_path / "predictor.dat"))
        return (tmp_path / "predictor.dat").read_bytes()

    return write


@pytest.fixture
def featurekit(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int | str, str, str]]:
    """Run a command in the workspace tmp_path/work and return (exit code, output, errors)."""
    from featurekit.cli import app as commands

    def run(*arguments: object) -> tuple[int | str, str, str]:
        monkeypatch.setattr(sys, "argv", ["featurekit", "-w", str(tmp_path / "work"), *map(str, arguments)])
        capfd.readouterr()
        code: int | str = 0
        try:
            commands.main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


class Watch:
    """What a program does to the world while it is watched, told by Python's own audit events.

    A hook cannot be taken away again, so that one for all tests notes nothing unless it is asked to.
    """

    _OF_INTEREST = ("open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.mkdir", "os.symlink")
    _NEVER = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen", "socket.connect")
    _noting: "Watch | None" = None
    _is_hooked = False

    def __init__(self) -> None:
        self.touched: list[tuple[str, str]] = []
        self.forbidden: list[str] = []

    def __enter__(self) -> "Watch":
        if not Watch._is_hooked:
            sys.addaudithook(Watch._hear)
            Watch._is_hooked = True
        Watch._noting = self
        return self

    def __exit__(self, *_: object) -> None:
        Watch._noting = None

    @staticmethod
    def _hear(event: str, arguments: tuple[object, ...]) -> None:
        noting = Watch._noting
        if noting is None:
            return
        if event in Watch._OF_INTEREST:
            path = arguments[0]
            if isinstance(path, str | bytes | os.PathLike):
                noting.touched.append((event, os.fsdecode(path)))
        elif event in Watch._NEVER:
            noting.forbidden.append(f"{event} {arguments}")

    def touching(self, folder: Path) -> list[tuple[str, str]]:
        """What was done to a file or folder, or to something inside it, links followed or not."""
        names = (str(folder), os.path.realpath(folder))
        return [
            (event, path)
            for event, path in self.touched
            if any(
                f"{one}/".startswith(f"{name}/") for name in names for one in (path, os.path.realpath(path))
            )
        ]


NOBODYS = ("/etc/passwd", "/etc/hostname", "/proc/self/environ", "/proc/self/mem", "/dev/zero", "/dev/stdin")


class Secret:
    """A file that nobody may read: whoever does moves the time of its last reading, or is heard."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        # A table, a picture's name and numbers in one, so that no reader turns it down for its form.
        path.write_bytes(b"image_path,age,gender,password\nhunter2.jpg,30,female,hunter2\n" + bytes(4096))
        os.utime(path, (1_000_000_000, 2_000_000_000))

    @property
    def was_read(self) -> bool:
        """Whether anybody has read a byte of it."""
        return self.path.stat().st_atime != 1_000_000_000


@pytest.fixture
def no_hanging() -> Iterator[None]:
    """End a test that waits for what never comes."""
    import signal

    def end(*_: object) -> None:
        raise TimeoutError("It hangs.")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 30)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def harmless(
    tmp_path: Path, featurekit: Callable[..., tuple[int | str, str, str]], no_hanging: None
) -> Callable[..., tuple[int | str, str, str]]:
    """Run a command that somebody prepared, and see that nothing outside its workspace came of it.

    tmp_path/outside/ is nobody's to look into; outside/secret.csv, where it is there, nobody's to read.
    """

    def listing() -> list[tuple[str, int]]:
        found = [path for path in tmp_path.rglob("*") if tmp_path / "work" not in (path, *path.parents)]
        return sorted((str(path), path.lstat().st_mtime_ns) for path in found)

    def run(*arguments: object) -> tuple[int | str, str, str]:
        outside = tmp_path / "outside"
        secret = Secret(outside / "secret.csv")
        before = listing()
        with Watch() as watch:
            result = featurekit(*arguments)
        assert listing() == before
        for path in (outside, *map(Path, NOBODYS)):
            assert watch.touching(path) == []
        assert watch.forbidden == []
        assert not secret.was_read
        assert "hunter2" not in result[1] + result[2]
        return result

    return run


@pytest.fixture
def seal() -> Callable[[Path], None]:
    """Make the list of hashes in a model's folder anew, as whoever edited it could."""
    from hashlib import sha256

    def write(folder: Path) -> None:
        listed = [path for path in sorted(folder.iterdir()) if path.name != "SHA256SUMS" and path.is_file()]
        lines = [f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in listed]
        (folder / "SHA256SUMS").write_text("".join(lines))

    return write


@pytest.fixture
def portraits(tmp_path: Path) -> Path:
    """A table of 24 made-up pictures of 8 subjects: people.csv and photos/; women are reddish, men bluish."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    lines = ["file,person,years,sex"]
    (tmp_path / "photos").mkdir()
    for subject in range(8):
        gender = "female" if subject % 2 else "male"
        tone = np.array([150, 90, 60] if gender == "female" else [60, 90, 150])
        for picture in range(3):
            pixels = np.clip(tone + rng.normal(0, 25, (48, 40, 3)), 0, 255).astype(np.uint8)
            name = f"s{subject}_{picture}.png"
            Image.fromarray(pixels).save(tmp_path / "photos" / name)
            lines.append(f"{name},s{subject},{(28, 28, 5, 5)[subject % 4]},{gender}")
    (tmp_path / "people.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def prepare_table(
    featurekit: Callable[..., tuple[int | str, str, str]], portraits: Path
) -> Callable[[], None]:
    """Prepare the made-up pictures, as they are now, in the workspace of featurekit()."""

    def prepare() -> None:
        columns = ("image_path=file", "subject_id=person", "age=years", "gender=sex")
        named = [word for column in columns for word in ("--column", column)]
        where = (portraits / "people.csv", "--root", portraits / "photos")
        code, output, errors = featurekit("prepare", "table", *where, *named)
        assert code == 0, output + errors

    return prepare


@pytest.fixture
def prepared(prepare_table: Callable[[], None], portraits: Path) -> Path:
    """The made-up pictures, prepared."""
    prepare_table()
    return portraits


@pytest.fixture
def manifest(portraits: Path) -> "Manifest":
    """The made-up pictures' manifest."""
    from featurekit.data.prepare import prepare

    columns = {"image_path": "file", "subject_id": "person", "age": "years", "gender": "sex"}
    return prepare("table", portraits / "people.csv", root=portraits / "photos", columns=columns)


@pytest.fixture
def settings() -> "FaceSettings":
    """The made-up pictures are faces as they are."""
    from featurekit.faces.settings import default_settings

    return default_settings("whole_image")


@pytest.fixture
def recipes(settings: "FaceSettings") -> "dict[str, Recipe]":
    """What the simplest backbone makes of them."""
    from featurekit.embeddings.recipe import make_recipes

    return make_recipes(["mean_color"], settings, device="cpu")


@pytest.fixture
def corner_color(monkeypatch: pytest.MonkeyPatch) -> str:
    """A second backbone: the colour of the upper left corner, at another size of crop."""
    from featurekit.networks.backbones import BACKBONES, Backbone

    member = Backbone(
        name="corner_color",
        about="a test's own",
        layers={"corner": 3},
        input_size=32,
        template="dlib",
        compute=lambda crops: crops[:, 0, 0].astype(np.float32),
    )
    BACKBONES.names()
    monkeypatch.setitem(BACKBONES._members, member.name, member)
    return member.name


@pytest.fixture
def in_memory() -> "Iterator[UrlPath]":
    """The URL of a bucket that is in the memory of this process, and empty."""
    from fsspec.implementations.memory import MemoryFileSystem

    from featurekit.urls import UrlPath

    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield UrlPath("memory:/bucket")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


# What a cloud's library finds in the environment; no message may show it.
SECRETS = {"AWS_ACCESS_KEY_ID": "AKIAHUNTER2", "AWS_SECRET_ACCESS_KEY": "hunter2/secret"}


@pytest.fixture(scope="session")
def s3_server() -> "Iterator[str]":
    """The address of moto's S3, which listens on this machine alone."""
    import logging

    server = pytest.importorskip("moto.server", reason="moto is not installed").ThreadedMotoServer(
        "127.0.0.1", 0, verbose=False
    )
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Iterator[UrlPath]":
    """The URL of an empty bucket of S3; the credentials are in the environment."""
    import fsspec

    from featurekit.urls import UrlPath

    surroundings = {**SECRETS, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
    surroundings |= {name: str(tmp_path / "no-such-file") for name in ("AWS_CONFIG_FILE", "BOTO_CONFIG")}
    surroundings |= {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-such-file"),
        "AWS_ENDPOINT_URL": s3_server,
    }
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    files = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=False)
    type(files).clear_instance_cache()  # another test may have opened it with other credentials
    files = fsspec.filesystem("s3", use_listings_cache=False)
    files.call_s3("create_bucket", Bucket="faces")
    yield UrlPath("s3:/faces")
    files = fsspec.filesystem("s3", use_listings_cache=False)
    for name in files.find("faces"):
        files.rm_file(name)
    files.call_s3("delete_bucket", Bucket="faces")
    type(files).clear_instance_cache()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    quiet = [
        "--no-sandbox",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with playwright.sync_playwright() as p:
        opened = p.chromium.launch(executable_path=chromium, args=[*quiet, "--no-first-run"])
        yield opened
        opened.close()
