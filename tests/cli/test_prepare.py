"""featurekit prepare: one clear line for each mistake."""


def test_a_data_set_that_takes_the_place_of_another_one_is_announced(featurekit, prepared):
    asked = ("prepare", "image_folder", prepared, "-o", "target=place")
    code, _, errors = featurekit(*asked)
    assert code == 0
    assert "data set was table (24 rows), and image_folder takes its place" in errors
    assert "takes its place" not in featurekit(*asked)[2]


def test_a_missing_folder(featurekit, one_line, tmp_path):
    one_line(featurekit("prepare", "utkface", tmp_path / "nowhere"), "nowhere")


def test_a_wrong_column_name(featurekit, one_line, portraits):
    result = featurekit("prepare", "table", portraits / "people.csv", "--column", "image_path=fil")
    one_line(result, "'fil'", "file", "person", "years", "sex")


def test_an_option_without_a_value(featurekit, one_line, portraits):
    one_line(featurekit("prepare", "utkface", portraits, "-o", "protocol"), "name=value", "protocol")


def test_an_unknown_data_set(featurekit, one_line, portraits):
    one_line(featurekit("prepare", "utkfaces", portraits), "Did you mean 'utkface'")
