"""Folders that are named after what their pictures show."""

import re
from io import BytesIO

import pytest
from PIL import Image

from featurekit.data.prepare import prepare
from featurekit.errors import ManifestError


def folder_with(folder, *names):
    """Write pictures, each with bytes of its own."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_folders_are_genders_under_any_usual_word(tmp_path):
    folder_with(tmp_path, "F/1.jpg", "woman/2.jpg", "Male/3.jpg", "men/deep/4.jpg", "unknown/5.jpg")
    table = prepare("image_folder", tmp_path).table.set_index("image_path")
    assert table["gender"].to_dict() == {
        "F/1.jpg": "female",
        "Male/3.jpg": "male",
        "men/deep/4.jpg": "male",
        "unknown/5.jpg": "",
        "woman/2.jpg": "female",
    }
    assert table.loc["unknown/5.jpg", "reason"] == "no_label"


def test_folders_are_age_groups(tmp_path):
    folder_with(tmp_path, "0-2/1.jpg", "(25, 32)/2.jpg", "60-100/3.jpg")
    assert prepare("image_folder", tmp_path).table["age_group"].tolist() == ["25-32", "0-2", "60-100"]


def test_folders_are_ages_when_one_says_so(tmp_path):
    folder_with(tmp_path, "1/1.jpg", "30/2.jpg", "120/3.jpg")
    table = prepare("image_folder", tmp_path, target="age").table
    assert table["age"].tolist() == [1, 120, 30]
    assert table["age_group"].tolist() == ["0-2", "", "25-32"]
    assert table["reason"].tolist() == ["", "impossible_age", ""]


def test_folders_called_0_and_1_are_not_guessed(tmp_path):
    folder_with(tmp_path, "0/1.jpg", "1/2.jpg")
    with pytest.raises(ManifestError, match=r"are neither genders nor age groups: 0, 1\. Say what they mean"):
        prepare("image_folder", tmp_path)


def test_any_other_word_is_a_label_column(tmp_path):
    manifest = prepare("image_folder", folder_with(tmp_path, "glad/1.jpg", "sad/2.jpg"), target="mood")
    assert manifest.target("mood").classes == ("glad", "sad")
    assert manifest.usable.all()


def test_a_folder_that_is_no_label_is_refused_by_name(tmp_path):
    folder_with(tmp_path, "female/1.jpg", "train/2.jpg")
    message = (
        f"The name of folder 'train' in {tmp_path} is not a valid gender. Expected female or male (or f, m,"
        " woman, man, ...)."
    )
    with pytest.raises(ManifestError, match=re.escape(message)):
        prepare("image_folder", tmp_path, target="gender")


def test_a_picture_beside_the_folders_is_a_row_without_a_label(tmp_path):
    table = prepare("image_folder", folder_with(tmp_path, "female/1.jpg", "stray.jpg")).table
    assert table["reason"].tolist() == ["", "no_label"]


def test_pictures_without_any_folder_are_refused(tmp_path):
    with pytest.raises(ManifestError, match="has no class folders"):
        prepare("image_folder", folder_with(tmp_path, "1.jpg"))


def test_a_target_without_a_name_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="target cannot be ' '"):
        prepare("image_folder", folder_with(tmp_path, "female/1.jpg"), target=" ")


@pytest.mark.parametrize("regex", [r"^([a-z]+)_", r"(?P<subject>[a-z]+)_(\d)", r"^(?:x)?([a-z]+)"])
def test_the_subject_is_read_from_the_file_name(regex, tmp_path):
    folder_with(tmp_path, "female/ann_1.jpg", "female/ann_2.jpg", "male/bob_1.jpg", "male/4.jpg")
    manifest = prepare("image_folder", tmp_path, subject_regex=regex)
    assert manifest.table["subject_id"].tolist() == ["ann", "ann", "", "bob"]
    assert manifest.info["tally"]["file names without a subject"] == 1


@pytest.mark.parametrize(
    ("regex", "message"),
    [("(", "is not a valid regular expression"), ("ann", "has no group"), ("^(zoe)", "matches no file name")],
)
def test_a_regular_expression_that_finds_nobody_is_refused(regex, message, tmp_path):
    with pytest.raises(ManifestError, match=message):
        prepare("image_folder", folder_with(tmp_path, "female/ann_1.jpg"), subject_regex=regex)


# ---------------------------------------------------------------- what a photograph is, its content says


def picture(kind, color=(9, 99, 9)):
    """Return the bytes of a picture of one color."""
    file = BytesIO()
    Image.new("RGB", (24, 24), color).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ann.jfif", "JPEG"),
        ("ann", "PNG"),
        ("ann.JPG_large", "WEBP"),
        ("ann.2021", "AVIF"),
        ("ann.txt", "BMP"),
    ],
)
def test_a_class_of_photographs_with_any_ending_is_read(name, kind, tmp_path):
    folder_with(tmp_path, "glad/1.jpg", f"sad/{name}")
    (tmp_path / "sad" / name).write_bytes(picture(kind))
    manifest = prepare("image_folder", tmp_path, target="mood")
    assert manifest.table["image_path"].tolist() == ["glad/1.jpg", f"sad/{name}"]
    assert manifest.target("mood").classes == ("glad", "sad")
    assert "notes" not in manifest.info


def test_what_is_not_looked_at_is_counted_in_one_line_with_an_example(tmp_path, featurekit):
    data = tmp_path / "data"
    folder_with(
        data,
        "glad/1.jpg",
        "sad/2.png",
        "glad/notes.txt",
        "sad/Thumbs.db",
        "sad/a.txt",
        "sad/.DS_Store",
        ".git/x",
    )
    (data / "sad" / "talk.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(40))
    (data / "sad" / "raw.NEF").write_bytes(b"II*\0" + bytes(40))
    (data / "sad" / "empty").touch()
    code, output, errors = featurekit("prepare", "image_folder", data, "-o", "target=mood")
    assert code == 0
    assert [line.partition(": ")[2] for line in errors.splitlines()] == [
        "Files that were not read: not images: 5 (2 .txt, 1 .db, 1 .mp4, 1 empty, for example"
        " 'glad/notes.txt'); raw camera files, which have to be exported as JPEG: 1 (for example"
        " 'sad/raw.NEF');"
        " hidden files and folders: 2 (for example '.git')."
    ]
    assert "not images\t5\n" in output
    assert "hidden files and folders\t2\n" in output


@pytest.mark.parametrize("content", [b"no picture", b"", b"%PDF-1.7"])
def test_a_file_that_is_called_a_picture_is_a_row_whatever_is_in_it(content, tmp_path):
    folder_with(tmp_path, "glad/1.jpg", "sad/2.heic")
    (tmp_path / "sad" / "2.heic").write_bytes(content)
    assert prepare("image_folder", tmp_path, target="mood").table["image_path"].tolist()[1] == "sad/2.heic"


@pytest.mark.parametrize(
    "content", [b"BMI,age\n20,30\n", b"II*no", b"\0\0\0\x20ftypqt  " + bytes(40), b"\xff\xd8", b"\xff\n"]
)
def test_what_only_begins_like_a_picture_is_none(content, tmp_path):
    folder_with(tmp_path, "glad/1.jpg", "sad/2.jpg", "sad/other")
    (tmp_path / "sad" / "other").write_bytes(content)
    manifest = prepare("image_folder", tmp_path, target="mood")
    assert len(manifest) == 2
    assert manifest.info["tally"]["not images"] == 1


def test_a_class_without_a_photograph_is_named(tmp_path):
    folder_with(tmp_path, "glad/1.jpg", "sad/2.mov", "calm/3.txt", "calm/deep/4.txt")
    (tmp_path / "bored").mkdir()
    notes = prepare("image_folder", tmp_path, target="mood").info["notes"]
    assert notes[1] == "Class folders without images: bored, calm, sad."


def test_a_folder_of_no_photographs_says_what_lies_there(tmp_path, featurekit):
    folder_with(tmp_path / "data", "sad/2.mov", "sad/3.mov")
    for command in (("prepare", "image_folder"), ("predict",)):
        code, _, errors = featurekit(*command, tmp_path / "data")
        assert code == 1
        assert errors == (
            f"error: There are no images below {tmp_path}/data. Files that were not read: not images:"
            " 2 (2 .mov, for example 'sad/2.mov').\n"
        )


# ---------------------------------------------------------------- links


def test_a_class_folder_that_is_a_link_to_another_inside_is_read(tmp_path):
    folder_with(tmp_path, "glad/1.jpg", ".store/sad/2.jpg")
    (tmp_path / "sad").symlink_to(tmp_path / ".store" / "sad")
    table = prepare("image_folder", tmp_path, target="mood").table
    assert table[["image_path", "mood", "reason"]].to_numpy().tolist() == [
        ["glad/1.jpg", "glad", ""],
        ["sad/2.jpg", "sad", ""],
    ]


def test_a_class_folder_that_is_a_link_outside_is_refused_with_what_to_type(tmp_path, featurekit):
    folder_with(tmp_path / "data", "glad/1.jpg")
    folder_with(tmp_path / "elsewhere", "2.jpg")
    (tmp_path / "data" / "sad").symlink_to(tmp_path / "elsewhere")
    code, _, errors = featurekit("prepare", "image_folder", tmp_path / "data", "-o", "target=mood")
    assert code == 1
    assert errors == (
        f"error: Folder 'sad' of {tmp_path}/data is a link to {tmp_path}/elsewhere, outside the folder"
        " of the data set. Such links are not followed, so this class would be missing. Copy the data set"
        " together with the files that the links point to:"
        f" cp -RL '{tmp_path}/data' COPY\n"
    )


@pytest.mark.parametrize("n_copied", [0, 1])
def test_linked_images_are_not_read_and_the_user_is_told_what_to_type(n_copied, tmp_path, featurekit):
    names = ["glad/1.jpg", "glad/2.jpg", "sad/3.jpg"]
    folder_with(tmp_path / "data", *names[:n_copied])
    folder_with(tmp_path / "elsewhere", *names)
    for name in names[n_copied:]:
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).symlink_to(tmp_path / "elsewhere" / name)
    code, _, errors = featurekit("prepare", "image_folder", tmp_path / "data", "-o", "target=mood")
    assert code == (0 if n_copied else 1)
    assert (
        f"Links that lead outside the folder of the data set: {3 - n_copied} (first: '{names[n_copied]}')."
        " featurekit does not follow them. Copy the data set together with the files that the links point"
        f" to: cp -RL '{tmp_path}/data' COPY\n"
    ) in errors


def test_a_class_folder_that_is_a_link_to_nothing_is_refused(tmp_path):
    folder_with(tmp_path, "glad/1.jpg")
    (tmp_path / "sad").symlink_to("gone")
    with pytest.raises(ManifestError, match=r"Folder 'sad' of .* is a link to gone, which does not exist"):
        prepare("image_folder", tmp_path, target="mood")
