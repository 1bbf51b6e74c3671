"""A user or a photograph on both sides of a fold is found."""

import numpy as np

from tests.checks.made_up import N, changed, found


def test_a_user_on_both_sides_is_found_in_columns_that_are_called_so(manifest):
    users = np.array([f"u{number // 4}" for number in range(N)])  # two subjects each, in two folds
    users[:4] = ""  # not known
    one = found(changed(manifest, user_id=users, image_quality=users), "identities_across_folds")
    assert one.severity == "warning"
    assert (one.count, one.of) == (N - 4, N)
    assert one.details == {"user_id": {"shared": 99.0, "of": 99.0, "faces": 396.0}}


def test_users_who_are_on_one_side_are_no_finding(manifest):
    users = np.array([f"u{number // 2 % 5}" for number in range(N)])
    one = found(changed(manifest, user=users), "identities_across_folds")
    assert (one.severity, one.count) == ("ok", 0)


def test_a_photograph_with_several_faces_is_found_in_several_folds(manifest):
    content = manifest.table["content"].to_numpy().copy()
    box = np.full(N, "", dtype=object)
    content[2], box[0], box[2] = content[0], "0 0 9 9", "9 0 18 9"
    both = changed(manifest, content=content, box=box)
    one = found(both, "identities_across_folds")
    assert one.details == {"image (content)": {"shared": 1.0, "of": 399.0, "faces": 2.0}}
    assert one.rows == ("f000", "f002")
    assert found(both, "exact_duplicates").count == 0  # two faces are no copy
