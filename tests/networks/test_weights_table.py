"""The table of weights: every entry is complete, and what needs weights finds them in it."""

import importlib.util
import re
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from featurekit.errors import UnknownNameError
from featurekit.faces.detectors import DETECTORS
from featurekit.networks import weights, weights_fetching
from featurekit.networks.backbones import BACKBONES

pytestmark = pytest.mark.usefixtures("home")


def test_every_entry_is_complete():
    for name, entry in weights.WEIGHTS.items():
        assert entry.name == name
        # Without a hash there is no address either: nothing is downloaded that cannot be checked.
        assert len(entry.sha256) in ((8, 64) if entry.can_be_fetched else (0, 64))
        assert set(entry.sha256) <= set("0123456789abcdef")
        assert entry.size > 0
        assert entry.about
        assert all((entry.licences.code, entry.licences.weights, entry.licences.training_data))
        assert entry.source
        assert [bool(entry.url), bool(entry.archive), bool(entry.page)].count(True) == 1
        assert bool(entry.archive) == bool(entry.member)
        assert not entry.url or entry.url.startswith("https://")


def test_the_table_has_nothing_that_no_file_uses():
    said = tomllib.loads(Path(weights.__file__).with_name("weights.toml").read_text(encoding="utf-8"))
    files = said["weights"].values()
    assert {one["licences"] for one in files} == set(said["licences"])
    assert {one["archive"] for one in files if "archive" in one} == set(said["archives"])


def test_every_archive_is_a_pinned_package_or_has_an_address():
    archives = {entry.archive for entry in weights.WEIGHTS.values() if entry.archive}
    for archive in archives:
        assert len(archive.sha256) == 64
        assert bool(archive.requirement) != bool(archive.url)
        assert archive.url.startswith("https://") or re.fullmatch(r"[\w-]+==[\d.]+", archive.requirement)


def test_the_only_hosts_are_those_that_publish_the_files():
    entries = weights.WEIGHTS.values()
    urls = [entry.url or (entry.archive.url if entry.archive else entry.page) for entry in entries]
    hosts = {urlsplit(url).hostname for url in urls if url}
    assert hosts == {
        "download.pytorch.org",
        "github.com",
        "raw.githubusercontent.com",
        "www.robots.ox.ac.uk",
    }


def test_no_two_entries_share_a_file_or_a_hash():
    entries = list(weights.WEIGHTS.values())
    assert len({entry.file_name for entry in entries}) == len(entries)
    stated = [entry.sha256[:8] for entry in entries if entry.sha256]
    assert len(set(stated)) == len(stated)
    assert [entry.name for entry in entries if not entry.sha256] == ["vgg_face"]


def test_what_is_builtin_comes_through_pip_alone():
    builtin = [entry for entry in weights.WEIGHTS.values() if entry.is_builtin]
    assert {entry.name for entry in builtin} == {"dlib_age", "dlib_gender", "mobilenet_v2", "centerface"}
    assert all(entry.archive.requirement and "==" in entry.archive.requirement for entry in builtin)


def test_torchvision_names_the_same_files():
    sources = Path(importlib.util.find_spec("torchvision").origin).parent / "models"
    published = "".join((sources / f"{name}.py").read_text() for name in ("resnet", "vgg", "inception"))
    ours = [entry for entry in weights.WEIGHTS.values() if "pytorch.org" in entry.url]
    assert len(ours) == 8
    for entry in ours:
        assert f'url="{entry.url}"' in published
        assert entry.file_name.endswith(f"-{entry.sha256[:8]}.pth")


def test_every_backbone_and_detector_finds_its_weights_in_the_table():
    wanted = {member.weights for registry in (BACKBONES, DETECTORS) for member in registry}
    assert wanted - {None} <= set(weights.WEIGHTS)


def test_an_unknown_name_is_answered_with_the_one_that_was_meant():
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet50'"):
        weights.read("resnet05")
    with pytest.raises(UnknownNameError, match="Did you mean 'buffalo_l'"):
        weights_fetching.fetch("bufalo_l")
