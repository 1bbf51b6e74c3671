"""Whatever targets, labels and folders are called, columns have names that can be used."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from featurekit.data.targets import GENDER, Target
from featurekit.inference.columns import BEFORE, BEHIND, name_columns


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["gender", "status", "a b", "a/b", "", "x", "gender_probability", "Gender", "x_p_b"]
            ),
            st.lists(st.text(max_size=4), min_size=2, max_size=4, unique=True),
            st.sampled_from(
                ["models/a-b", "models/a.b", "july/a", "june/a", "july/gender", "é/\udcff", "x/B"]
            ),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda one: one[2],
    )
)
def test_all_columns_are_names_and_no_two_are_alike(asked):
    targets = [Target(name, tuple(classes)) for name, classes, _ in asked]
    folders = [Path("/") / folder for *_, folder in asked]
    made = name_columns(targets, folders)
    assert made == name_columns(targets, folders)
    every = [*BEFORE, *BEHIND, *(name for columns in made for name in columns.all())]
    assert all(name.isidentifier() for name in every)
    assert len({name.casefold() for name in every}) == len(every)
    for columns, target in zip(made, targets, strict=True):
        assert len(columns.classes) == len(target.classes)


def test_folders_of_the_same_name_are_told_apart_by_those_above_them():
    folders = [Path("/june/svm"), Path("/july/svm"), Path("/july/gender_forest")]
    names = [columns.answer for columns in name_columns([GENDER] * 3, folders)]
    assert names == ["gender_june_svm", "gender_july_svm", "gender_forest"]
