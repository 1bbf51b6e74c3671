"""The commit that a result remembers."""

import pytest

from featurekit import version


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that could be a checkout, as the one that featurekit runs from."""
    monkeypatch.setattr(version, "__file__", str(tmp_path / "featurekit" / "version.py"))
    version.commit.cache_clear()
    yield tmp_path / ".git"
    version.commit.cache_clear()


def test_without_a_checkout_there_is_no_commit(checkout):
    assert version.commit() == ""


@pytest.mark.parametrize(
    "files",
    [
        {"HEAD": "0123456789abcdef\n"},
        {"HEAD": "ref: refs/heads/main\n", "refs/heads/main": "0123456789abcdef\n"},
        {
            "HEAD": "ref: refs/heads/main\n",
            "packed-refs": "# peeled\nffff refs/heads/other\n0123456789abcdef refs/heads/main\n",
        },
    ],
    ids=["detached", "branch", "packed"],
)
def test_the_commit_is_read_from_the_files_of_git(checkout, files):
    for name, text in files.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(text)
    assert version.commit() == "0123456789ab"
