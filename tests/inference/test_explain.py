"""Where a model looked: one that looks at a corner by construction is found out; no mean shows anybody."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from featurekit.data.targets import AGE, AGE_GROUP, GENDER
from featurekit.embeddings.open_networks import open_networks
from featurekit.embeddings.recipe import make_recipes
from featurekit.errors import ModelError, TargetError, UnknownNameError
from featurekit.estimators._networks.estimator import CNN
from featurekit.estimators._networks.heads import head_for
from featurekit.faces.align import LANDMARKS, TEMPLATES
from featurekit.faces.settings import FaceSettings, default_settings
from featurekit.inference._maps import CELLS, SIDE, Loss, Reader, last_maps, replaced
from featurekit.inference.draw import SIZE, draw_explanation, draw_mean_maps
from featurekit.inference.explain import (
    MIN_FACES,
    Explanation,
    MeanMaps,
    Unexplained,
    _way,
    explain_photographs,
    median_loss,
)
from featurekit.inference.export import export_onnx
from featurekit.inference.model import TrainedModel

MAP = 8  # cells of a side of the tiny network's feature map
CORNER = 3  # cells of it, each way, that the network looks at: the upper left


def tiny_body(cnn):
    """Return a network whose features are how bright the upper left corner is, and how much it varies."""
    import torch

    class Corner(torch.nn.Module):
        dim = 2

        def __init__(self):
            super().__init__()
            self.pool = torch.nn.AvgPool2d(cnn.side // MAP)
            self.mix = torch.nn.Conv2d(3, 4, 1)
            self.mix.weight.data[:] = 1 / 255
            self.mix.bias.data[:] = torch.arange(4) / 10

        def forward(self, pixels):
            cells = self.mix(self.pool(pixels)).relu()
            corner = cells[:, :, :CORNER, :CORNER].mean(dim=(2, 3))
            return torch.stack([corner.sum(dim=1), -corner[:, 0]], dim=1)

    return Corner()


def tiny_cnn(target=GENDER, body=tiny_body, **parameters):
    """Return a network that is as if it had been fitted."""
    import torch

    cnn = CNN(target=target, make_body=body, side=32, **parameters)
    cnn.heads_ = (head_for(target, ages=cnn.ages),)
    cnn.network_ = cnn._fresh_network().eval()
    with torch.no_grad():
        for weight in cnn.network_.heads.parameters():
            weight.copy_(torch.linspace(-1, 1, weight.numel()).reshape(weight.shape))
    if not target.is_regression:
        cnn.classes_ = np.arange(len(target.classes))
    cnn._runs_in = "fp32"
    return cnn


def as_model(estimator, features="pixels", target=GENDER, name="tiny"):
    settings = default_settings("whole_image")
    return TrainedModel(
        name=name,
        target=target,
        classifier="finetuned_cnn" if isinstance(estimator, CNN) else "corner",
        estimator=estimator,
        settings=settings,
        recipes=tuple(make_recipes([features], settings, device="cpu").values()),
        training={},
        weights=(),
    )


class BrightCorner:
    """A classical classifier on pixels: it looks at the upper left sixth of what it is given."""

    classes_ = np.array([0, 1])

    def predict_proba(self, X):
        side = round((X.shape[1] / 3) ** 0.5)
        corner = X.reshape(-1, side, side, 3)[:, : side // 4, : side // 4].mean(axis=(1, 2, 3)) / 255
        return np.stack([corner, 1 - corner], axis=1)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Twelve pictures, bright in the upper left corner, of noise elsewhere."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = rng.integers(0, 120, (96, 96, 3))
        pixels[:36, :36] += 130
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
    return sorted(folder.iterdir())


def in_the_corner(heat, part=0.5):
    """Return the share of a map that lies in the upper left of it."""
    edge = round(len(heat) * part)
    return heat[:edge, :edge].sum() / heat.sum()


def explain(photographs, model, **options):
    return list(explain_photographs(photographs, model, threads=1, **options))


def test_a_last_map_too_coarse_to_say_where_gives_way_to_the_one_before_it():
    import torch

    class Narrowing(torch.nn.Module):
        """Maps of 16, 4, 2 and 1 cells a side."""

        dim = 5

        def __init__(self, cells):
            super().__init__()
            self.maps = torch.nn.ModuleList(
                torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(n), torch.nn.Conv2d(3, 3, 1)) for n in cells
            )
            self.head = torch.nn.Linear(3, self.dim)

        def forward(self, pixels):
            for one in self.maps:
                pixels = one(pixels)
            return self.head(pixels.mean(dim=(2, 3)))

    for cells, chosen in (((16, 4, 2, 1), 1), ((16, 4, 3), 2), ((2, 2), 1), ((16,), 0)):
        cnn = tiny_cnn(body=lambda cnn, cells=cells: Narrowing(cells))
        assert last_maps(cnn)[0].layer is cnn.network_.body.maps[chosen]


@pytest.mark.parametrize("how", ["gradcam", "occlusion"])
@pytest.mark.parametrize(
    "target",
    [GENDER, *(pytest.param(one, marks=pytest.mark.slow) for one in (AGE_GROUP, AGE))],
    ids=lambda target: target.name,
)
def test_a_network_that_looks_at_a_corner_is_found_out(how, target, photographs):
    found = explain(photographs[:1], as_model(tiny_cnn(target, views=1), target=target), how=how)[0]
    assert found.how == how
    assert found.heat.shape == (SIDE, SIDE)
    assert found.heat.max() == 1
    assert in_the_corner(found.heat) > 0.95


def test_a_network_that_reads_ordered_classes_is_found_out(photographs):
    model = as_model(tiny_cnn(AGE_GROUP, views=1, ages="ordered"), target=AGE_GROUP)
    assert in_the_corner(explain(photographs[:1], model, how="gradcam")[0].heat) > 0.95


def test_where_features_are_means_of_the_map_it_is_grad_cam_as_published(photographs):
    import torch
    from captum.attr import LayerGradCam

    def body(cnn):
        class Means(torch.nn.Module):
            dim = 3

            def __init__(self):
                super().__init__()
                self.convolution = torch.nn.Conv2d(3, 3, 8, 8)
                self.convolution.bias.data[:] = 1

            def forward(self, pixels):
                return self.convolution(pixels / 255).mean(dim=(2, 3))

        return Means()

    cnn = tiny_cnn(body=body, views=1)
    found = explain(photographs[:1], as_model(cnn))[0]
    number = GENDER.classes.index(found.answer)

    def odds(pixels):
        scores = cnn.network_(pixels)["gender"]
        return scores[:, number] - scores[:, 1 - number]

    face = torch.tensor(found.face).permute(2, 0, 1)[None].float()
    picture = torch.nn.functional.interpolate(face, (32, 32), mode="bilinear", antialias=True)
    cells = LayerGradCam(odds, cnn.network_.body.convolution).attribute(picture)[0, 0].detach()
    middles = np.arange(SIDE // 8, SIDE, SIDE // 4)
    np.testing.assert_allclose(found.heat[np.ix_(middles, middles)], cells / cells.max(), atol=0.1)


def test_a_network_that_reads_the_mirror_image_too_looks_at_both_corners(photographs):
    heat = explain(photographs[:1], as_model(tiny_cnn(views=2)))[0].heat
    assert heat[: SIDE // 2].sum() > 0.95 * heat.sum()
    assert 0.2 < heat[:, : SIDE // 2].sum() / heat.sum() < 0.8


@pytest.mark.parametrize("landmark", range(5))
def test_what_is_covered_is_the_same_place_of_the_face_in_every_crop(landmark):
    kinds = [("imagenet", 224), ("imagenet", 64), ("dlib", 64), ("dlib", 32), ("arcface", 112)]
    x, y = TEMPLATES["imagenet"][landmark]
    across = (np.arange(CELLS) + 0.5) / CELLS
    mask = (abs(across - x) < 0.05) & (abs(across - y) < 0.05)[:, None]
    crops = {(template, side): np.zeros((side, side, 3), np.uint8) for template, side in kinds}
    changed = replaced(crops, mask[None], lambda crop: crop + 255)
    for (template, side), (crop,) in changed.items():
        assert set(np.unique(crop)) == {0, 255}
        middle = np.argwhere(crop[..., 0]).mean(axis=0)[::-1] + 0.5
        np.testing.assert_allclose(middle / side, TEMPLATES[template][landmark], atol=0.04)


def test_the_answer_is_the_one_that_predict_gives(photographs):
    from tests.inference.made_up import read_photographs

    model = as_model(tiny_cnn())
    readings = read_photographs(photographs, [model], threads=1)
    for reading, found in zip(readings, explain(photographs, model), strict=True):
        assert (
            found.value == reading.answers["gender"][found.answer] == max(reading.answers["gender"].values())
        )


def test_masks_of_a_networks_own_are_shown(photographs):
    import torch

    def body(cnn):
        made = tiny_body(cnn)
        mask = torch.full((1, 4, 4), 0.4)
        mask[0, 3, 3] = 0.9
        made.attention = lambda pixels: [mask.expand(len(pixels), 4, 4), torch.full((len(pixels), 8, 8), 0.5)]
        return made

    model = as_model(tiny_cnn(body=body, views=1))
    found = explain(photographs[:1], model)[0]
    assert found.how == "attention"
    assert found.heat[-1, -1] > 0.9
    assert found.heat[: SIDE // 2].max() < 1e-6
    assert explain(photographs[:1], model, how="gradcam")[0].how == "gradcam"


def test_networks_trained_as_one_have_a_map_each_on_their_part_of_the_face(photographs):
    import torch

    def body(cnn):
        class Two(torch.nn.Module):
            dim = 2

            def __init__(self):
                super().__init__()
                self.bodies = torch.nn.ModuleList(torch.nn.Conv2d(3, 2, 8, 8) for _ in range(2))
                for one in self.bodies:
                    one.weight.data[:] = 1 / 255
                # The first sees the left half, the second the middle of the right half.
                self.views = [(slice(0, 32), slice(0, 16), 16), (slice(8, 24), slice(16, 32), 16)]

            def forward(self, pixels):
                parts = [pixels[:, :, rows, columns] for rows, columns, _ in self.views]
                return torch.stack(
                    [one(part).mean(dim=(1, 2, 3)) for one, part in zip(self.bodies, parts, strict=True)], 1
                )

        return Two()

    cnn = tiny_cnn(body=body, views=1)
    cnn.network_.heads.of["gender"].weight.data[:] = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    heat = explain(photographs[:1], as_model(cnn))[0].heat
    assert heat[:, : SIDE // 2 - 4].max() == 0  # the left network's features count for nothing
    assert heat[: SIDE // 4 - 4].max() == 0
    assert heat[SIDE // 2, 3 * SIDE // 4] > 0.5


def test_a_network_made_from_an_onnx_file_shows_its_last_feature_map(photographs):
    import torch

    from featurekit.networks.engines._onnx_module import torch_module

    def body(cnn):
        class FromFile(torch.nn.Module):
            dim = 2

            def __init__(self):
                super().__init__()
                self.graph = torch_module(corner_file(cnn.side), ["features"])

            def forward(self, pixels):
                return self.graph(pixels)[0]

        return FromFile()

    found = explain(photographs[:1], as_model(tiny_cnn(body=body, views=1)))[0]
    assert found.how == "gradcam"
    assert in_the_corner(found.heat) > 0.9


def corner_file(side):
    """Return an ONNX file: means of cells, and a product with weights that are 0 outside a corner of them."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    cell = side // MAP
    mix = np.full((2, 3, cell, cell), 1 / (255 * 3 * cell * cell), np.float32)
    corner = np.zeros((2, 2, MAP, MAP), np.float32)
    corner[0, :, :CORNER, :CORNER] = 1
    nodes = [
        helper.make_node("Conv", ["pixels", "mix"], ["cells"], strides=[cell, cell]),
        helper.make_node("Relu", ["cells"], ["map"]),
        helper.make_node("Flatten", ["map"], ["flat"]),
        helper.make_node("Gemm", ["flat", "corner"], ["features"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "corner",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, side, side])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(mix, "mix"), numpy_helper.from_array(corner.reshape(2, -1), "corner")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.mark.slow
def test_the_check_tells_a_map_that_means_something(photographs):
    """Blurring a checkered corner changes what a model says that reads how checkered it is."""

    class Checkered(BrightCorner):
        def predict_proba(self, X):
            side = round((X.shape[1] / 3) ** 0.5)
            corner = X.reshape(-1, side, side, 3)[:, : side // 4, : side // 4].std(axis=(1, 2, 3)) / 128
            return np.stack([corner, 1 - corner], axis=1).clip(0, 1)

    found = explain(photographs[:4], as_model(Checkered()))
    loss = median_loss([one.loss for one in found])
    assert loss.important > 3 * abs(loss.random)
    assert loss.important > 0
    again = explain(photographs[:4], as_model(Checkered()))
    assert [one.loss for one in again] == [one.loss for one in found]
    assert [one.loss for one in explain(photographs[:4], as_model(Checkered()), seed=1)] != [
        one.loss for one in found
    ]


def test_the_median_is_over_the_faces():
    assert median_loss([Loss(0.1, 0.0), Loss(0.2, 0.1), Loss(0.9, 0.3)]) == Loss(0.2, 0.1)


def test_a_model_that_depends_on_nothing_has_an_empty_map(photographs, tmp_path):
    class Same(BrightCorner):
        def predict_proba(self, X):
            return np.tile([0.3, 0.7], (len(X), 1))

    found = explain(photographs[:1], as_model(Same()))[0]
    assert not found.heat.any()
    assert found.loss == Loss(0.0, 0.0)
    assert draw_explanation(found, tmp_path).is_file()


def test_a_drawing_is_a_png_of_the_promised_size_and_has_a_name_of_its_own(photographs, tmp_path):
    found = explain([photographs[0], photographs[0]], as_model(tiny_cnn()))
    drawn = [draw_explanation(one, tmp_path) for one in found]
    assert len(set(drawn)) == 2
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.size == SIZE


def test_a_picture_that_cannot_be_read_keeps_its_reason_and_the_others_go_on(photographs, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"nonsense")
    found = explain([tmp_path / "broken.jpg", photographs[0]], as_model(tiny_cnn()))
    assert isinstance(found[0], Unexplained)
    assert "broken.jpg" in f"{found[0].photograph.name} {found[0].message}"
    assert isinstance(found[1], Explanation)


# ---------------------------------------------------------------- means


@pytest.fixture(scope="module")
def explained(photographs):
    return explain(photographs, as_model(tiny_cnn(views=1)))


def added(explanations):
    means = MeanMaps()
    for one in explanations:
        means.add(one)
    return means


def test_a_mean_of_few_faces_is_refused(explained):
    few = added(explained[: MIN_FACES - 1])
    with pytest.raises(
        TargetError, match=rf"Not enough faces \(.*{MIN_FACES - 1}; at least {MIN_FACES} are needed"
    ):
        few.maps()


def test_the_same_face_many_times_is_one_face(explained):
    with pytest.raises(TargetError, match=": 1; "):
        added([explained[0]] * 50).maps()


def test_only_answers_with_enough_faces_are_shown_and_the_others_named(explained, tmp_path):
    other = [replace(one, answer="other", face=one.face[::-1]) for one in explained[:3]]
    means = added([*explained, *other])
    maps = means.maps()
    assert [(one.group, one.n_faces) for one in maps] == [(explained[0].answer, 12)]
    assert "other: 3" in means.refusal()
    assert in_the_corner(maps[0].heat) > 0.95
    files = draw_mean_maps(maps, tmp_path)
    assert [path.name for path in files] == [f"mean-{explained[0].answer}.png", "sheet.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in files)


def test_the_mean_face_is_the_mean_of_the_faces(explained):
    mean = added(explained).maps()[0].face
    grey = np.mean([one.face @ [0.299, 0.587, 0.114] for one in explained], axis=0)
    np.testing.assert_allclose(mean[..., 0], grey, atol=0.51)


def test_years_are_averaged_in_tens(explained):
    assert replace(explained[0], answer="years", value=39.9).group == "30-39 years"
    assert replace(explained[0], answer="years", value=39.9).said == "40 years"


# ---------------------------------------------------------------- one clear error for each mistake


def test_a_classical_model_has_no_feature_map(photographs):
    with pytest.raises(ModelError, match=r"cannot be explained with Grad-CAM.*occlusion"):
        explain(photographs[:1], as_model(BrightCorner()), how="gradcam")


def test_a_network_without_masks_has_no_attention(photographs):
    with pytest.raises(ModelError, match=r"cannot be explained with attention.*attention masks"):
        explain(photographs[:1], as_model(tiny_cnn()), how="attention")


def test_an_unknown_way_to_look(photographs):
    with pytest.raises(UnknownNameError, match="Did you mean 'gradcam'"):
        explain(photographs[:1], as_model(tiny_cnn()), how="gradcan")


def test_vectors_that_this_version_does_not_make_are_refused(photographs):
    model = as_model(tiny_cnn())
    old = replace(model, recipes=(replace(model.recipes[0], extraction_version=0),))
    with pytest.raises(ModelError, match="other settings"):
        explain(photographs[:1], old)


# ---------------------------------------------------------------- export


def shrinking_body(cnn):
    """Return a network that brings a part of the picture to a smaller side first, as finetuned_cnn does."""
    import torch
    from torch.nn import functional

    class Shrinking(torch.nn.Module):
        dim = 6

        def __init__(self):
            super().__init__()
            self.convolution = torch.nn.Conv2d(3, 6, 3)

        def forward(self, pixels):
            part = pixels[:, :, 2:, :30]
            part = functional.interpolate(part, (20, 20), mode="bilinear", antialias=True)
            part = ((part - 127) / 60).contiguous(memory_format=torch.channels_last)
            return self.convolution(part).relu().mean(dim=(2, 3))

    return Shrinking()


@pytest.mark.parametrize(("target", "views"), [(GENDER, 10), (AGE_GROUP, 2), (AGE, 1)])
def test_an_exported_network_answers_as_the_model_does(target, views, photographs, tmp_path):
    import onnxruntime

    model = as_model(tiny_cnn(target, body=shrinking_body, views=views), target=target)
    done = export_onnx(model, tmp_path / "model.onnx")
    assert done.n_bytes == done.path.stat().st_size
    session = onnxruntime.InferenceSession(done.path)
    with_faces = np.stack([np.asarray(Image.open(path).resize((160, 160))) for path in photographs])
    for faces in (with_faces, with_faces[:1]):
        got = session.run(None, {"pixels": faces})[0]
        said = model.predict(faces.reshape(len(faces), -1), model.recipes)
        tolerance = 1e-2 if target.is_regression else 1e-4
        np.testing.assert_allclose(got, said.reshape(got.shape), atol=tolerance)
    output = session.get_outputs()[0]
    assert output.name == ("years" if target.is_regression else "probabilities")


def test_an_exported_file_says_what_it_is(tmp_path):
    import json

    import onnxruntime

    cnn = tiny_cnn(AGE_GROUP, ages="ordered")
    cnn.classes_ = np.array([0, 2, 3])  # training had none of the others
    model = as_model(cnn, target=AGE_GROUP)
    done = export_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(done.path)
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["classes"]) == list(AGE_GROUP.classes)
    assert np.shape(json.loads(facts["landmarks"])["places"]) == (5, 2)
    shares = session.run(None, {"pixels": np.zeros((1, 160, 160, 3), np.uint8)})[0]
    assert shares.sum() == pytest.approx(1)
    assert set(np.flatnonzero(shares)) <= {0, 2, 3}


def test_a_classical_model_cannot_be_exported(tmp_path):
    with pytest.raises(
        ModelError, match=r"Only networks trained end to end can be exported.*featurekit predict"
    ):
        export_onnx(as_model(BrightCorner()), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    from featurekit.inference import export

    def run(names, feeds):
        return [np.full((len(feeds["pixels"]), 2), 0.5, np.float32)]

    session = SimpleNamespace(run=run)
    monkeypatch.setattr(export.onnxruntime, "InferenceSession", lambda data, providers: session)
    with pytest.raises(ModelError, match="nothing was written"):
        export_onnx(as_model(tiny_cnn()), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- the commands


@pytest.fixture
def tiny_networks(monkeypatch):
    """A network that is loaded is made as tiny_cnn() makes it."""
    made = CNN._fresh_network

    def tiny(cnn):
        cnn.make_body = tiny_body
        return made(cnn)

    monkeypatch.setattr(CNN, "_fresh_network", tiny)


@pytest.fixture
def saved(tmp_path, tiny_networks):
    folder = tmp_path / "models" / "tiny"
    as_model(tiny_cnn()).save(folder)
    return folder


def test_maps_are_drawn_and_listed(featurekit, saved, photographs, tmp_path):
    code, printed, errors = featurekit("explain", saved, *photographs[:2], "--output", tmp_path / "maps")
    assert code == 0, errors
    files = sorted((tmp_path / "maps").iterdir())
    assert [file.name for file in files] == ["00.png", "01.png"]
    for part in ("Grad-CAM", *map(str, files), "medians over 2 faces"):
        assert part in printed


def test_a_mean_is_drawn_and_no_single_face(featurekit, saved, photographs, tmp_path):
    where = ("--average", "--output", tmp_path / "maps")
    code, printed, errors = featurekit("explain", saved, *photographs, *where)
    assert code == 0, errors
    assert sorted(file.name[:5] for file in (tmp_path / "maps").iterdir()) == ["mean-", "sheet"]
    assert "sheet.png" in printed


def test_a_mean_of_few_faces_is_one_line(featurekit, saved, photographs, tmp_path):
    where = ("--average", "--output", tmp_path / "maps")
    code, _, errors = featurekit("explain", saved, *photographs[:3], *where)
    assert code == 1
    assert "Not enough faces" in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "maps").exists()


def test_a_network_is_exported_and_the_check_said(featurekit, saved, tmp_path):
    code, printed, errors = featurekit("export", saved, tmp_path / "tiny.onnx")
    assert code == 0, errors
    assert "the output of ONNX Runtime differs by at most" in printed
    assert "female, male" in printed
    assert (tmp_path / "tiny.onnx").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("explain", "nowhere", "00.png"), "There is no model nowhere"),
        (("explain", "tiny", "meadow.jpg"), "There is no file"),
        (("explain", "tiny"), "No images are given"),
        (("explain", "tiny", "broken.jpg"), "broken.jpg"),
        (("explain", "tiny", "00.png", "--how", "attention"), "attention masks"),
        (("export", "nowhere", "tiny.onnx"), "There is no model nowhere"),
        (("export", "tiny", "tiny.pt"), "An exported network is an .onnx file"),
    ],
)
def test_a_mistake_is_one_line(featurekit, saved, photographs, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"nonsense")
    (tmp_path / "00.png").write_bytes(photographs[0].read_bytes())
    command, *others = (str(saved) if one == "tiny" else one for one in arguments)
    code, _, errors = featurekit(command, *others)
    assert code == 1
    assert [line for line in errors.splitlines() if line.startswith("error:") and message in line]
    assert len(errors.splitlines()) == 1


@pytest.mark.weights
def test_a_photograph_without_a_face_is_one_line(featurekit, tmp_path, tiny_networks):
    model = as_model(tiny_cnn())
    settings = default_settings()
    recipes = tuple(make_recipes(["pixels"], settings, device="cpu").values())
    replace(model, settings=settings, recipes=recipes).save(tmp_path / "tiny")
    Image.new("RGB", (300, 300), (90, 120, 90)).save(tmp_path / "meadow.png")
    code, _, errors = featurekit("explain", tmp_path / "tiny", tmp_path / "meadow.png")
    assert code == 1
    # On a slow machine, a line of progress comes before.
    said = [line for line in errors.splitlines() if not line.startswith("explaining:")]
    assert said == [f"error: {tmp_path / 'meadow.png'}: no face was found"]


def test_landmarks_stay_where_they_are_when_a_part_of_the_face_is_covered():
    points = np.arange(10, dtype=np.float32).reshape(5, 2)
    crops = {("dlib", 32): np.full((32, 32, 3), 200, np.uint8), LANDMARKS: points}
    masks = np.ones((3, CELLS, CELLS), bool)
    changed = replaced(crops, masks, np.zeros_like)
    np.testing.assert_array_equal(changed[LANDMARKS], np.stack([points] * 3))
    assert (changed["dlib", 32] == 0).any()


def test_a_model_that_reads_landmarks_alone_has_no_map():
    model = as_model(SimpleNamespace(), "mean_color")
    recipes = tuple(make_recipes(["landmarks"], FaceSettings(), device="cpu").values())
    model = replace(model, settings=FaceSettings(), recipes=recipes)
    reader = Reader(model, open_networks(recipes, 1))
    with pytest.raises(ModelError, match="reads only the landmarks"):
        _way(reader, "occlusion")
