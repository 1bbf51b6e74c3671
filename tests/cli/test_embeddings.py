"""featurekit embeddings: what was extracted is described as a table, or an error says what is missing."""

import pytest

from featurekit.embeddings.description import ClosePair, PrecisionError, VectorFacts


def test_extracted_vectors_are_described_as_a_table(featurekit, extracted):
    code, output, errors = featurekit("embeddings", "describe")
    assert code == 0, errors
    head, line, *notes = output.splitlines()
    row = dict(zip(head.split("\t"), line.split("\t"), strict=True))
    assert (row["Features"], row["Faces"], row["Length"]) == ("mean_color:mean", "24", "3")
    assert (row["Type"], row["Precision"], row["Near-constant columns"]) == ("float32", "fp32", "0")
    assert 1 <= float(row["Effective rank"]) <= 3
    assert float(row["Smallest norm"]) <= float(row["Median norm"]) <= float(row["Largest norm"])
    assert notes[0].startswith("Effective rank: the exponential of the entropy")
    assert notes[1].endswith("mean_color:mean.")  # too short for close pairs
    named = featurekit("embeddings", "describe", "--features", "mean_color", "--threads", "1")
    assert named[1] == output
    # Not the last one alone, which is there.
    twice = featurekit("embeddings", "describe", "--features", "gone", "--features", "mean_color")
    assert twice[0] == 1
    assert "gone" in twice[2]


def test_pairs_and_differences_have_tables_of_their_own(featurekit, extracted, monkeypatch):
    facts = VectorFacts(
        feature="vgg16:fc7",
        n_faces=1234,
        length=4096,
        dtype="float32",
        precision="bf16",
        closest=(ClosePair("a\nb", "c", 0.9999994), ClosePair("d", "e", 0.5)),
        errors=(PrecisionError("bf16", 1000, 0.00123, 0.024, "d"),),
    )
    monkeypatch.setattr("featurekit.api.description.describe", lambda *_, **__: (facts,))
    lines = featurekit("embeddings", "describe")[1].splitlines()
    assert lines[1].startswith("vgg16:fc7\t1,234\t4,096\tfloat32\tbf16\t—")
    at = lines.index("Closest pairs of faces")
    assert lines[at + 2 : at + 4] == ["vgg16:fc7\ta b\tc\t0.999999", "vgg16:fc7\td\te\t0.500000"]
    at = lines.index("Differences from the fp32 vectors of the same faces")
    assert lines[at + 2] == "vgg16:fc7\tbf16\t1,000\t0.123\t2.4\td"


def test_features_that_cannot_be_described_are_one_line(featurekit, extracted, one_line):
    for features, parts in {
        "mean_colour": ("Unknown backbone 'mean_colour'", "Did you mean 'mean_color'?"),
        "mean_color+vgg16:fc6": ("vgg16:fc6 has not been extracted. Next: featurekit extract",),
        "mean_color:max": ("max", "mean"),
        "+": ("No network is named", "--features dlib_age+dlib_face"),
    }.items():
        one_line(featurekit("embeddings", "describe", "--features", features), *parts)


def test_before_an_extraction_the_next_command_is_named(featurekit, prepared, one_line):
    one_line(featurekit("embeddings", "describe"), "No extraction has been completed", "featurekit extract")


def test_a_map_is_written_as_image_and_table(featurekit, extracted, tmp_path, one_line):
    out = tmp_path / "out" / "map.png"
    code, output, errors = featurekit("embeddings", "map", "--output", str(out))
    assert code == 0, errors
    assert out.read_bytes().startswith(b"\x89PNG")
    head, *lines = out.with_suffix(".csv").read_text().splitlines()
    assert head == "face_id,image_path,x,y,label,error"
    assert len(lines) == 24
    assert output.splitlines()[-1] == f"Wrote {out} and {out.with_suffix('.csv')}."
    assert "first two principal components of the standardized vectors of mean_color (3 numbers)" in output
    for options, part in {
        ("--output", "map.pdf"): "A map is a .png file",
        ("--features", "mean_colour"): "Did you mean 'mean_color'?",
        ("--method", "pac"): "Did you mean 'pca'?",
        (
            "--seed",
            "0",
        ): "--seed 0 has no effect: --method pca draws no random numbers for these 24",
        ("--name", "nothing"): "There are no runs in",
        ("--model", "svm"): "There are no runs in",
    }.items():
        one_line(featurekit("embeddings", "map", *options), part)


@pytest.mark.parametrize("name", ["faces.csv", "faces.png"])
def test_a_file_of_somebody_else_is_not_replaced_by_a_map(featurekit, extracted, tmp_path, one_line, name):
    asked = ("embeddings", "map", "--features", "mean_color", "--output", str(tmp_path / "faces.png"))
    (tmp_path / name).write_text("file,person")
    one_line(featurekit(*asked), f"{name} exists and is not a map of featurekit", "Give another file")
    assert (tmp_path / name).read_text() == "file,person"
    (tmp_path / name).unlink()
    for _ in range(2):  # its own files it replaces
        assert featurekit(*asked)[0] == 0


def test_a_measure_of_the_image_does_not_make_a_map_ask_which_network(
    featurekit, extracted, tmp_path, one_line
):
    out = str(tmp_path / "map.png")
    for backbone in ("sharpness", "pixels"):
        assert featurekit("extract", "--backbone", backbone, "--detector", "whole_image")[0] == 0
        code, output, errors = featurekit("embeddings", "map", "--output", out)
        assert code == 0, errors
        assert "standardized vectors of mean_color (3 numbers)" in output
    assert featurekit("extract", "--backbone", "hog", "--detector", "whole_image")[0] == 0
    one_line(featurekit("embeddings", "map", "--output", out), "Name the feature set", "mean_color", "hog")
