"""A file whose hash nobody states is added by its user, and what was added is what is read from then on."""

from dataclasses import replace
from hashlib import sha256 as hashed

import pytest

from featurekit.errors import WeightsError
from featurekit.networks import weights, weights_fetching
from featurekit.ops import doctor
from tests.networks.made_up import TINY, make_entry, sha256

pytestmark = pytest.mark.usefixtures("home")

PAGE = "https://example.org/models"
OTHER = TINY[:-1] + b"X"


@pytest.fixture
def entry(table):
    made = make_entry("tiny", TINY, sha256="", page=PAGE)
    table(make_entry("stated", b"stated", url="https://a"), made)
    return made


@pytest.fixture
def add(tmp_path, entry):
    """Add a file with some content."""

    def add(content=TINY, called="tiny.onnx", **options):
        path = tmp_path / called
        path.write_bytes(content)
        return weights_fetching.add(path, **options)

    return add


@pytest.fixture
def put(entry, home):
    """Put a file into the folder without featurekit."""
    (home / "weights").mkdir(parents=True)
    weights.path_of("tiny").write_bytes(TINY)


def test_the_hash_of_what_was_added_is_told_and_recorded(add, entry, caplog):
    assert add() == [entry]
    assert f"Nobody states a hash for tiny.onnx. The sha256 of your file is {sha256(TINY)};" in caplog.text
    assert caplog.records[0].said_as == "note: "
    assert weights.read("tiny") == TINY
    assert weights.sha256_of("tiny") == sha256(TINY)
    assert weights.name_of(sha256(TINY)) == "tiny"
    assert weights.describe("tiny")["sha256"] == sha256(TINY)
    assert "nobody states a hash" in weights.describe("tiny")["source"]
    # As sha256sum writes it, and so as `sha256sum -c` reads it.
    assert entry.record.read_text() == f"{sha256(TINY)}  tiny.onnx\n"


def test_no_hash_is_every_files_hash(entry):
    assert not entry.matches(sha256(TINY))
    assert weights.name_of(sha256(TINY)) is None
    assert weights.describe("tiny")["sha256"] == ""
    with pytest.raises(WeightsError, match=r"is missing: tiny\.onnx\. Get the file from"):
        weights.sha256_of("tiny")


def test_a_file_that_changed_since_it_was_added_is_not_read(add):
    add()
    weights.path_of("tiny").write_bytes(OTHER)
    with pytest.raises(WeightsError, match=rf"damaged: its sha256 is .*should be {sha256(TINY)}.* {PAGE}"):
        weights.read("tiny")
    assert dict(weights.verify())["tiny"] == "damaged"
    add()  # which repairs it
    assert weights.read("tiny") == TINY


def test_another_file_does_not_silently_take_the_place_of_the_first(add, entry):
    add()
    with pytest.raises(WeightsError, match=rf"was added before.*first delete {entry.record}$"):
        add(OTHER)
    assert weights.read("tiny") == TINY
    entry.record.unlink()
    add(OTHER)
    assert weights.sha256_of("tiny") == sha256(OTHER)


def test_a_file_of_another_name_is_added_if_its_user_says_what_it_is(add):
    with pytest.raises(WeightsError, match="none of the files that featurekit knows"):
        add(called="download")
    add(called="download", name="tiny")
    assert weights.read("tiny") == TINY
    with pytest.raises(WeightsError, match="is not stated: its sha256 is"):
        add(name="stated")


@pytest.mark.parametrize("content", [b"<html>Not found</html>", TINY[: len(TINY) // 2]])
def test_a_page_or_half_a_file_is_not_recorded(content, add, home):
    with pytest.raises(WeightsError, match=r"a part of it is missing: it has [\d,]+ bytes, .* about 14,000"):
        add(content)
    assert not home.exists()


def test_a_file_that_was_put_there_by_hand_is_not_trusted(put, capsys):
    assert dict(weights.verify())["tiny"] == "unrecorded"
    with pytest.raises(WeightsError, match=rf"trust the file, add it: .* add {weights.path_of('tiny')}$"):
        weights.read("tiny")
    with pytest.raises(WeightsError, match="hash was not recorded"):
        weights.sha256_of("tiny")
    assert doctor.check_weights().advice == f"featurekit weights add {weights.path_of('tiny')}"
    weights_fetching.add(weights.path_of("tiny"))
    assert weights.read("tiny") == TINY
    assert doctor.check_weights().severity == "ok"


@pytest.mark.parametrize("record", ["", "no hash", "ab" * 31, "ab" * 33, None])
def test_a_damaged_record_counts_as_none(record, put, entry):
    if record is None:
        entry.record.mkdir()
    else:
        entry.record.write_text(record)
    assert dict(weights.verify())["tiny"] == "unrecorded"


def test_it_is_not_downloaded(entry, add):
    assert entry.command == "featurekit weights add tiny.onnx"  # which `featurekit list` shows
    with pytest.raises(WeightsError) as caught:
        weights_fetching.fetch("tiny")
    assert str(caught.value) == (
        "tiny is not downloaded, because nobody states the hash of its file. Get the file from"
        f" {PAGE}, and add it: featurekit weights add tiny.onnx"
    )
    add()
    assert weights_fetching.fetch("tiny") == []


def test_a_damaged_file_that_is_not_downloaded_is_repaired_by_adding_it(add):
    add()
    weights.path_of("tiny").write_bytes(OTHER)
    assert doctor.check_weights().advice == "featurekit weights add tiny.onnx"


def test_the_commands_say_that_the_hash_was_recorded(featurekit, add, tmp_path):
    (tmp_path / "tiny.onnx").write_bytes(TINY)
    code, output, errors = featurekit("weights", "add", tmp_path / "tiny.onnx")
    assert (code, output) == (0, "tiny: added tiny.onnx\n")
    assert errors.startswith("note: Nobody states a hash for tiny.onnx. The sha256 of your file is ")
    code, output, _ = featurekit("weights", "verify")
    assert (code, output) == (0, "tiny: ok (its hash was recorded when it was added)\n")
    assert "nobody states a hash" in " ".join(featurekit("weights", "list")[1].split())
    weights.path_of("tiny").write_bytes(OTHER)
    assert featurekit("weights", "verify")[:2] == (
        1,
        "tiny: damaged (its hash is not the one that was recorded when it was added)\n",
    )


def test_a_pickle_that_a_user_adds_is_not_run(tmp_path, home, monkeypatch):
    import pickle

    from featurekit.networks.backbones import BACKBONES

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    data = pickle.dumps(Evil())
    monkeypatch.setitem(weights.WEIGHTS, "vgg_face", replace(weights.WEIGHTS["vgg_face"], size=len(data)))
    (tmp_path / "vgg_face_dag.pth").write_bytes(data)
    weights_fetching.add(tmp_path / "vgg_face_dag.pth")
    assert weights.sha256_of("vgg_face") == hashed(data).hexdigest()
    with pytest.raises(WeightsError, match="The weight file of vgg_face cannot be read"):
        BACKBONES["vgg_face"].load(weights.read("vgg_face"), ["fc7"]).module()
    assert not (tmp_path / "pwned").exists()
