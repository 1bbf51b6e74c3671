"""featurekit extract: what it says of pictures and of time, and one clear line for each mistake."""

import re

import pytest


def test_extract_says_where_the_time_went(featurekit, prepared):
    code, printed, _ = featurekit(
        "extract", "--backbone", "mean_color", "--detector", "whole_image", "--profile"
    )
    assert code == 0
    for part in ("read", "decode", "detect", "align", "mean_color", "write", "waiting"):
        assert part in printed
    assert "% of the " in printed


def test_extract_a_second_time_reads_nothing(featurekit, extracted):
    code, output, _ = featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")
    assert code == 0
    assert "Read 0 images" in output


def test_an_unknown_backbone(featurekit, one_line, prepared):
    one_line(featurekit("extract", "--backbone", "vgg61"), "Did you mean 'vgg16'")


def test_a_row_of_a_data_set_has_one_face(featurekit, one_line, prepared):
    asked = ("extract", "--backbone", "mean_color", "--detector", "whole_image", "--choose", "all")
    one_line(featurekit(*asked), "Unknown way to choose a face 'all'", "Known: center, largest, box, only.")


def test_a_backbone_whose_file_is_missing(featurekit, one_line, prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path / "empty"))
    result = featurekit("extract", "--backbone", "resnet50", "--detector", "whole_image")
    one_line(result, "resnet50", ".pth", "https://", "weights add")


def test_an_unreadable_picture_keeps_its_row_and_the_run_goes_on(
    featurekit, prepared, tmp_path, prepare_table
):
    (prepared / "photos" / "s3_1.png").write_bytes(b"GIF89a but not really")
    prepare_table()
    for _ in range(2):  # the second run reads nothing, and says it again
        code, output, errors = featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")
        assert code == 0
        assert "truncated\t1" in output
        assert "ok\t23" in output
        assert "s3_1.png' is truncated: the file is incomplete: it ends before the image does" in errors


def test_a_shard_counts_its_own_rows_and_fit_sees_the_others_as_not_extracted(featurekit, prepared):
    asked = ("extract", "--backbone", "mean_color", "--detector", "whole_image", "--shard")
    code, first, errors = featurekit(*asked, "1/2")
    n = int(re.search(r"^ok\t(\d+)", first, re.MULTILINE)[1])
    assert (code, errors) == (0, "")
    assert 0 < n < 24
    assert f"Shard 1/2 has {n} of the 24 rows; the table counts only them." in first
    assert f"Read {n} images" in first
    assert "not_extracted" not in first
    fit = ("fit", "--model", "majority", "--target", "gender", "--folds", "2", "--no-models")
    code, _, errors = featurekit(*fit)
    assert code == 0, errors
    assert f"{24 - n} images" in errors
    assert "have not been read since featurekit prepare" in errors
    assert f"ok\t{24 - n}" in featurekit(*asked, "2/2")[1]
    code, _, errors = featurekit(*fit)
    assert code == 0
    assert "have not been read" not in errors


@pytest.mark.parametrize("shard", ["0/4", "5/4", "x"])
def test_a_shard_that_does_not_exist(featurekit, one_line, prepared, shard):
    result = featurekit("extract", "--backbone", "mean_color", "--shard", shard)
    one_line(result, "--shard must be", "1/4, 2/4, 3/4 or 4/4", f"Got '{shard}' instead.")
