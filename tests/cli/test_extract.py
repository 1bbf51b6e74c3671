"""featurekit extract: what it says of pictures and of time, and one clear line for each mistake."""


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
