"""`X.describe()`: what is known about vectors, as a table, as pairs, and as a notebook shows it."""

import numpy as np
import pytest

import featurekit as fk
from featurekit.api.description import describe_extracted
from featurekit.errors import EmbeddingError, WorkspaceError
from featurekit.networks.backbones import BACKBONES, Backbone


@pytest.fixture
def bright(monkeypatch):
    """A network of 64 numbers: the brightness of the parts of a crop."""
    member = Backbone(
        name="bright",
        about="a test's own",
        layers={"parts": 64},
        input_size=32,
        template="dlib",
        compute=lambda crops: crops.mean(axis=3).reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(-1, 64),
    )
    BACKBONES.names()
    monkeypatch.setitem(BACKBONES._members, member.name, member)
    return member.name


def test_embeddings_describe_themselves(data, project, bright):
    X = fk.embed(data, f"{bright}+mean_color", detector="whole_image", project=project)
    described = X.describe(n_jobs=1)
    frame = described.frame()
    assert frame["features"].to_list() == ["bright:parts", "mean_color:mean"]
    assert frame["n_faces"].to_list() == [24, 24]
    vectors = X.vectors[:, :64].astype(float)
    norms = np.linalg.norm(vectors, axis=1)
    assert frame["norm_median"][0] == pytest.approx(np.median(norms))
    singular = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False)
    shares = singular[:23] / singular[:23].sum()
    assert frame["effective_rank"][0] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-5)
    similarity = np.triu(vectors @ vectors.T / np.outer(norms, norms), 1)
    first, second = np.unravel_index(np.argmax(similarity), similarity.shape)
    assert (frame["closest_first"][0], frame["closest_second"][0]) == (X.face_ids[first], X.face_ids[second])
    assert frame["closest_similarity"][0] == pytest.approx(similarity.max())
    pairs = described.pairs()
    assert pairs["features"].to_list() == ["bright:parts"] * 5
    assert pairs["similarity"].is_monotonic_decreasing
    assert described["mean_color:mean"].closest == ()
    with pytest.raises(
        EmbeddingError, match=r"vgg16 is not described\. There are: bright:parts, mean_color:mean"
    ):
        described["vgg16"]
    assert repr(described).startswith("Description(bright:parts 24 × 64, effective rank ")
    assert "mean_color:mean" in described._repr_html_()
    assert describe_extracted(project=project, progress=False) == described


def test_a_part_of_what_was_embedded_describes_its_own_networks_only(X, project):
    fk.embed(X.data, "pixels", detector="whole_image", project=project)
    assert X.describe().frame()["features"].to_list() == ["mean_color:mean"]
    assert len(describe_extracted(project=project).frame()) == 2


def test_a_project_without_vectors_says_what_to_do(data, project):
    with pytest.raises(WorkspaceError, match=r"No extraction has been completed .* Next: featurekit extract"):
        describe_extracted(data, project=project)
