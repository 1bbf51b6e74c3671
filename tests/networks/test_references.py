"""Networks by reference give the vectors that their own libraries give, and what is not stated is refused.

The networks are small ones of timm and transformers, untrained: it is the reading that is tested, not what
they know.
"""

import json
from importlib.util import find_spec

import numpy as np
import pytest
from typer.testing import CliRunner

import featurekit as fk
from featurekit.cli.app import app
from featurekit.embeddings.open_networks import open_networks
from featurekit.embeddings.recipe import changed_since, make_recipes
from featurekit.errors import FeaturekitError, UnknownNameError, WeightsError
from featurekit.faces.settings import default_settings
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES, here, split_feature
from featurekit.networks.backbones.references import SCHEMES
from featurekit.networks.feature_names import is_reference

needs_timm = pytest.mark.skipif(not find_spec("timm"), reason="timm is not installed: featurekit[timm]")
needs_hf = pytest.mark.skipif(not find_spec("transformers"), reason="transformers is absent: featurekit[hf]")
# As large a part of its norm as a vector may differ by from the library's own.
WORST = 1e-4


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whatever opens a socket fails."""

    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.create_connection", refuse)


@pytest.mark.parametrize("name", SCHEMES.names())
def test_every_kind_of_reference_says_how_a_network_is_added(name, home):
    scheme = SCHEMES[name]
    assert is_reference(f"{name}:anything")
    assert len(scheme.about.splitlines()) == 1
    if scheme.library and not find_spec(scheme.library):
        pytest.skip(f"{scheme.library} is not installed")
    known = "resnet18" if scheme.library else "mine"
    assert f"featurekit weights add {name}:{known} " in scheme.where(known)


def crops_of(side, n=3):
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def vectors_of(features):
    """Return the crops and, for each feature of one network, its vectors in fp32."""
    parts = [split_feature(feature) for feature in features]
    backbone, layers = parts[0][0], [layer for _, layer in parts]
    crops = crops_of(backbone.input_size)
    data = weights.read(backbone.weights)
    session = backbone.open(data, layers, device="cpu", precision="fp32", threads=1)
    found = session(crops)
    assert [part.shape[1] for part in found] == [backbone.layers[layer] for layer in layers]
    return crops, found


def assert_equal(found, expected):
    expected = np.asarray(expected)
    differences = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert differences.max() <= WORST


def made_by_timm(name, folder, **options):
    """Return an untrained network of timm and the file of its weights."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False, **options).eval()
    path = folder / f"{name}.safetensors"
    save_file(network.state_dict(), path)
    return network, path


def prepared_by_timm(network, crops):
    """Return the input that timm's own transform makes of the crops."""
    import timm
    import torch
    from PIL import Image

    transform = timm.data.create_transform(
        **timm.data.resolve_data_config({}, model=network), is_training=False
    )
    return torch.stack([transform(Image.fromarray(crop)) for crop in crops])


@needs_timm
@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("test_vit", "blocks.3"),
        ("test_resnet", ""),
        pytest.param("resnet18", "", marks=pytest.mark.slow),
        pytest.param("vit_small_patch16_224", "blocks.8", marks=pytest.mark.slow),
        pytest.param("convnext_tiny", "", marks=pytest.mark.slow),
    ],
)
def test_a_network_of_timm_gives_the_vectors_of_timm_with_its_own_transform(name, layer, home, tmp_path):
    import torch

    network, path = made_by_timm(name, tmp_path)
    fk.add_network(path, f"timm:{name}")
    features = [f"timm:{name}", f"timm:{name}+mean"]
    if layer:
        features += [f"timm:{name}@{layer}+cls", f"timm:{name}@{layer}+cls+mean"]
    crops, found = vectors_of(features)
    with torch.inference_mode():
        pixels = prepared_by_timm(network, crops)
        maps = network.forward_features(pixels)
        expected = [network.forward_head(maps, pre_logits=True)]
        expected.append(maps[:, network.num_prefix_tokens :].mean(1) if layer else maps.mean((2, 3)))
        if layer:
            ((patches, before),) = network.forward_intermediates(
                pixels,
                indices=[int(layer.partition(".")[2])],
                return_prefix_tokens=True,
                output_fmt="NLC",
                intermediates_only=True,
            )
            expected += [before[:, 0], torch.cat([before[:, 0], patches.mean(1)], dim=1)]
    for one, other in zip(found, expected, strict=True):
        assert_equal(one, other)


def made_by_transformers(folder):
    """Write a folder with an untrained network of transformers; return the network and its processor."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=64
    )
    network = ViTForImageClassification(config).eval()
    processor = ViTImageProcessorPil(size={"height": 64, "width": 64}, image_std=[0.25, 0.5, 0.5])
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return network, processor


@needs_timm
def test_another_part_of_the_face_is_not_read_by_the_network_that_was_kept(home, tmp_path):
    """A converted network is kept on the disk, and the part of the square that it reads is inside it."""
    import torch

    network, path = made_by_timm("test_resnet", tmp_path)
    for size in (96, 128):
        fk.add_network(path, "timm:test_resnet", input_size=size, resize=160, replace=True)
        crops, (found,) = vectors_of(["timm:test_resnet"])
        edge = (160 - size) // 2
        pixels = torch.tensor(crops[:, edge : edge + size, edge : edge + size]).permute(0, 3, 1, 2)
        with torch.inference_mode():
            maps = network.forward_features((pixels / 255 - 0.5) / 0.5)
            assert_equal(found, network.forward_head(maps, pre_logits=True))


@pytest.mark.slow
@needs_hf
def test_a_folder_of_transformers_gives_the_vectors_of_transformers(home, tmp_path):
    import torch

    network, processor = made_by_transformers(tmp_path / "small")
    fk.add_network(tmp_path / "small", "hf:small")
    crops, (classes, middle) = vectors_of(["hf:small", "hf:small@layers.0+cls+mean"])
    with torch.inference_mode():
        output = network.vit(**processor(list(crops), return_tensors="pt"), output_hidden_states=True)
    assert_equal(classes, output.last_hidden_state[:, 0])
    tokens = output.hidden_states[1]
    assert_equal(middle, torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=1))


@needs_timm
def test_a_folder_of_timm_on_hugging_face_is_added_when_it_is_named(home, tmp_path):
    import torch
    from timm.models import save_for_hf

    network, _ = made_by_timm("test_resnet", tmp_path)
    save_for_hf(network, tmp_path / "mine", safe_serialization=True)
    recipe = make_recipes([f"hf:{tmp_path / 'mine'}"], default_settings())["hf:mine@pooled"]
    assert recipe.weights == weights.sha256_of("hf:mine")
    assert recipe.normalization["network"]["library"].startswith("timm 1.")
    crops, (found,) = vectors_of(["hf:mine"])
    with torch.inference_mode():
        maps = network.forward_features(prepared_by_timm(network, crops))
        assert_equal(found, network.forward_head(maps, pre_logits=True))
    file = tmp_path / "mine" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(WeightsError, match=r"mine is not the network that was added as hf:mine.* --replace$"):
        split_feature(f"hf:{tmp_path / 'mine'}")


@pytest.mark.slow
def test_a_network_of_torchvision_gives_the_vectors_before_its_classifier(home, tmp_path):
    import torch
    import torchvision

    torch.manual_seed(0)
    network = torchvision.models.shufflenet_v2_x0_5().eval()
    torch.save(network.state_dict(), tmp_path / "own.pth")
    with pytest.raises(WeightsError, match=r"not stated in own.pth.*--input-size SIDE --mean .* --std"):
        fk.add_network(tmp_path / "own.pth", "torchvision:shufflenet_v2_x0_5")
    fk.add_network(
        tmp_path / "own.pth", "torchvision:shufflenet_v2_x0_5", input_size=64, mean=[0.5], std=[0.25]
    )
    crops, (pooled, largest) = vectors_of(
        ["torchvision:shufflenet_v2_x0_5", "torchvision:shufflenet_v2_x0_5@stage3+max"]
    )
    pixels = (torch.tensor(crops).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    with torch.inference_mode():
        stage3 = network.stage3(network.stage2(network.maxpool(network.conv1(pixels))))
        expected = network.conv5(network.stage4(stage3)).mean((2, 3))
    assert_equal(pooled, expected)
    assert_equal(largest, stage3.amax((2, 3)))


def onnx_file(path, side=None, seed=0):
    """Write an untrained network of two convolutions: 6 numbers, and 4 maps before them."""
    import onnx
    from onnx import TensorProto, helper

    chance = np.random.default_rng(seed)
    tensors = {"first.weight": chance.normal(size=(4, 3, 4, 4)), "second": chance.normal(size=(6, 4, 2, 2))}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["pixels", "first.weight"], ["/maps/Conv_output_0"], strides=[4, 4]),
            helper.make_node("Conv", ["/maps/Conv_output_0", "second"], ["more"], strides=[2, 2]),
            helper.make_node("GlobalAveragePool", ["more"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["answer"]),
        ],
        "toy",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, side or "h", side or "w"])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["n", 6])],
        [onnx.numpy_helper.from_array(one.astype(np.float32), name) for name, one in tensors.items()],
    )
    opset = [helper.make_opsetid("", 13)]
    path.write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def test_an_onnx_file_is_read_at_any_tensor(home, tmp_path):
    import onnxruntime

    onnx_file(tmp_path / "toy.onnx", side=32)
    with pytest.raises(WeightsError, match=r"toy\.onnx.*weights add onnx:toy .*toy\.onnx --mean .* --std"):
        split_feature(f"onnx:{tmp_path / 'toy.onnx'}")
    fk.add_network(
        tmp_path / "toy.onnx", "onnx:toy", mean=[0.1, 0.2, 0.3], std=[0.5], bgr=True, template="arcface"
    )
    backbone, _ = split_feature("onnx:toy")
    assert (backbone.input_size, backbone.template) == (32, "arcface")
    crops, (answer, maps, largest) = vectors_of(
        ["onnx:toy", "onnx:toy@maps.Conv_output_0", "onnx:toy@maps.Conv_output_0+max+mean"]
    )
    pixels = ((crops / 255 - [0.1, 0.2, 0.3]) / 0.5)[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32)
    session = onnxruntime.InferenceSession(str(tmp_path / "toy.onnx"), providers=["CPUExecutionProvider"])
    assert_equal(answer, session.run(None, {"pixels": pixels})[0])
    import onnx

    first = onnx.numpy_helper.to_array(onnx.load(tmp_path / "toy.onnx").graph.initializer[0])
    places = pixels.reshape(3, 3, 8, 4, 8, 4).transpose(0, 2, 4, 1, 3, 5).reshape(3, 64, -1)
    expected = places @ first.reshape(4, -1).T
    assert_equal(maps, expected.mean(1))
    assert_equal(largest, np.hstack([expected.max(1), expected.mean(1)]))


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ("onnx:toy@nowhere", "Unknown layer of onnx:toy 'nowhere'"),
        ("onnx:toy+cls", r"Unknown layer of onnx:toy '\+cls'"),
        (
            "onnx:toy@maps.Conv_output_0+cls",
            r"of onnx:toy cannot be pooled by \+cls: it is a feature map without a class",
        ),
        ("onnx:toy@answer+max", r"answer of onnx:toy cannot be pooled by \+max: it is a vector\."),
        ("torchvision:resnet18:layer3", "follows @: torchvision:resnet18@layer3"),
        (
            "onnx:gone",
            "onnx:gone has not been added. Add it, with .*: featurekit weights add onnx:gone FILE --mean",
        ),
        ("hf:gone", "hf:gone has not been added. Add the folder"),
        ("torchvision:resnet19", "Unknown network of torchvision 'resnet19'. Did you mean 'resnet18'"),
        (
            "torchvision:resnet18",
            "resnet18 has not been added. Get its weight file .https.*add torchvision:resnet18",
        ),
    ],
)
def test_a_name_that_leads_nowhere_is_one_line(feature, said, home, tmp_path):
    onnx_file(tmp_path / "toy.onnx")
    fk.add_network(tmp_path / "toy.onnx", "onnx:toy", input_size=32, mean=[0.5], std=[0.5])
    with pytest.raises(FeaturekitError, match=said) as raised:
        split_feature(feature)
    assert here(["mean_color:mean", feature]) == ["mean_color:mean"]
    assert "\n" not in str(raised.value)


@needs_timm
def test_a_network_of_timm_that_is_not_here_is_one_line(home):
    with pytest.raises(UnknownNameError, match=r"Unknown network of timm 'resnet19'\. Did you mean"):
        split_feature("timm:resnet19")
    with pytest.raises(WeightsError, match=r"timm:resnet18 has not been added. Get its .*resnet18.a1_in1k\)"):
        split_feature("timm:resnet18")


def folder_of(tmp_path, **files):
    """Write a folder with files of Hugging Face, by their names with _ for the dot."""
    folder = tmp_path / "net"
    folder.mkdir()
    for name, content in files.items():
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


@needs_hf
@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "has no config.json, which says what network it is"),
        ({"config__json": b"{"}, "config.json cannot be read"),
        ({"config__json": {"auto_map": {"AutoModel": "x.Y"}}}, "defined by code in that folder"),
        ({"config__json": {"model_type": "vit"}}, "has no model.safetensors"),
        ({"config__json": {"model_type": "vit", "quantization_config": {}}}, "is quantized"),
        (
            {"config__json": {"model_type": "vit"}, "pytorch_model__bin": b"x"},
            "has pytorch_model.bin, which is a pickle and is not read",
        ),
        (
            {"config__json": {"model_type": "vit"}, "model__safetensors": b"x"},
            "preprocessing of hf:net is not stated",
        ),
        (
            {"config__json": {"architecture": "resnet18", "mean": 3, "std": 1, "input_size": [3, 9, 9]}}
            | {"model__safetensors": b"x"},
            "configuration in .* cannot be used: TypeError",
        ),
        ({"config__json": {}, "model__safetensors": b"x"}, "is neither one of timm nor of transformers"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(files, said, home, tmp_path):
    with pytest.raises(WeightsError, match=said) as raised:
        fk.add_network(folder_of(tmp_path, **files), "hf:net")
    assert "\n" not in str(raised.value)
    assert not list(home.rglob("own-*"))


@needs_timm
def test_a_file_of_another_architecture_is_refused(home, tmp_path):
    _, path = made_by_timm("test_vit", tmp_path)
    with pytest.raises(WeightsError, match="does not fit timm:test_resnet: Missing key"):
        fk.add_network(path, "timm:test_resnet")


@needs_timm
def test_a_pickle_is_not_run(home, tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(WeightsError, match=r"cannot be read.* Other pickled objects are never loaded"):
        fk.add_network(tmp_path / "evil.pth", "timm:test_resnet")
    assert not (tmp_path / "pwned").exists()


def test_a_changed_byte_of_the_weights_is_refused(home, tmp_path):
    onnx_file(tmp_path / "toy.onnx")
    fk.add_network(tmp_path / "toy.onnx", "onnx:toy", input_size=32, mean=[0.5], std=[0.5])
    path = weights.path_of("onnx:toy")
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with pytest.raises(
        WeightsError, match=r"is damaged: .* Add it again: featurekit weights add onnx:toy FILE"
    ):
        weights.read("onnx:toy")


def test_another_preprocessing_or_layer_is_another_recipe(home, tmp_path):
    onnx_file(tmp_path / "toy.onnx")
    keys = []
    for size, mean in ((32, 0.5), (32, 0.4), (64, 0.5)):
        stated = {"input_size": size, "mean": [mean], "std": [0.5]}
        fk.add_network(tmp_path / "toy.onnx", "onnx:toy", **stated, replace=True)
        recipes = make_recipes(["onnx:toy", "onnx:toy@more"], default_settings())
        assert list(recipes) == ["onnx:toy@answer", "onnx:toy@more"]
        keys += [recipe.key for recipe in recipes.values()]
    assert len(set(keys)) == 6


def test_another_network_of_the_same_name_replaces_the_first_only_if_it_is_asked_to(home, tmp_path):
    run = CliRunner().invoke
    onnx_file(tmp_path / "toy.onnx")
    onnx_file(tmp_path / "other.onnx", seed=1)
    first, other = str(tmp_path / "toy.onnx"), str(tmp_path / "other.onnx")

    def add(file, *more, mean="0.5"):
        return run(
            app,
            ["weights", "add", "onnx:toy", file, "--input-size", "32", "--mean", mean, "--std", "0.5", *more],
        )

    assert add(first).exit_code == 0
    (key,) = (recipe.key for recipe in make_recipes(["onnx:toy"], default_settings()).values())
    assert add(first).exit_code == 0
    for refused, what in (
        (add(other), "weight file"),
        (add(first, mean="0.4"), "preprocessing"),
        (add(other, mean="0.4"), "weight file and another preprocessing"),
    ):
        assert str(refused.exception) == (
            f"onnx:toy was added before, from toy.onnx, with another {what}. To replace it, use --replace:"
            " its vectors are then computed again, and a model that was fitted on them can no longer predict."
        )
    (still,) = make_recipes(["onnx:toy"], default_settings()).values()
    assert still.key == key
    assert add(other, "--replace").exit_code == 0
    (now,) = make_recipes(["onnx:toy"], default_settings()).values()
    assert now.key != key  # so that vectors of the first one are not taken for those of the other
    assert add(first, "--replace").exit_code == 0
    assert [one.key for one in make_recipes(["onnx:toy"], default_settings()).values()] == [key]


def test_a_model_does_not_read_another_network_of_the_same_name(home, tmp_path):
    onnx_file(tmp_path / "toy.onnx")
    fk.add_network(tmp_path / "toy.onnx", "onnx:toy", input_size=32, mean=[0.5], std=[0.5])
    recipes = list(make_recipes(["onnx:toy"], default_settings()).values())
    assert open_networks(recipes, 1)[0].name == "onnx:toy"
    fk.add_network(tmp_path / "toy.onnx", "onnx:toy", input_size=32, mean=[0.4], std=[0.5], replace=True)
    with pytest.raises(WeightsError, match=r"onnx:toy is not the network here .*: it has another mean"):
        open_networks(recipes, 1)
    onnx_file(tmp_path / "toy.onnx", seed=1)
    fk.add_network(tmp_path / "toy.onnx", "onnx:toy", input_size=32, mean=[0.5], std=[0.5], replace=True)
    with pytest.raises(WeightsError, match="it has another weight file"):
        open_networks(recipes, 1)


@pytest.mark.parametrize(
    ("seed", "mean", "what"),
    [(0, 0.5, ""), (0, 0.4, "mean"), (1, 0.5, "weight file"), (1, 0.4, "weight file")],
)
def test_vectors_of_another_network_of_the_same_name_are_known_by_their_recipe(
    home, tmp_path, seed, mean, what
):
    onnx_file(tmp_path / "toy.onnx")
    fk.add_network(tmp_path / "toy.onnx", "onnx:toy", input_size=32, mean=[0.5], std=[0.5])
    (recipe,) = make_recipes(["onnx:toy"], default_settings()).values()
    onnx_file(tmp_path / "toy.onnx", seed=seed)
    fk.add_network(tmp_path / "toy.onnx", "onnx:toy", input_size=32, mean=[mean], std=[0.5], replace=True)
    assert changed_since(recipe) == what


@pytest.mark.parametrize(
    "feature",
    [
        pytest.param("timm:test_vit", marks=needs_timm),
        pytest.param("timm:test_resnet", marks=needs_timm),
        pytest.param("hf:small", marks=needs_hf),
        "onnx:toy",
    ],
)
def test_a_network_by_reference_is_trained_further_from_its_weights(feature, home, tmp_path):
    import torch

    scheme, _, name = feature.partition(":")
    if scheme == "timm":
        fk.add_network(made_by_timm(name, tmp_path)[1], feature)
    elif scheme == "hf":
        made_by_transformers(tmp_path / name)
        fk.add_network(tmp_path / name, feature)
    else:
        onnx_file(tmp_path / "toy.onnx")
        fk.add_network(tmp_path / "toy.onnx", feature, input_size=32, mean=[0.5], std=[0.5])
    crops, (expected,) = vectors_of([feature])
    backbone = BACKBONES[feature]
    network = backbone.trainable(weights.read(feature)).eval()
    mean, scale = torch.tensor(backbone.normalization.mean), torch.tensor(backbone.normalization.scale)
    found = network(((torch.tensor(crops).float() - mean) / scale).permute(0, 3, 1, 2))[0]
    assert_equal(found.detach().numpy(), expected)
    found.sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_the_command_line_adds_lists_and_refuses(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    onnx_file(tmp_path / "toy.onnx")
    onnx_file(tmp_path / "fixed.onnx", side=16)
    run = CliRunner().invoke
    options = ["--input-size", "32", "--mean", "0.5", "--std", "0.25"]
    added = run(app, ["weights", "add", "onnx:toy", "toy.onnx", *options])
    assert added.exit_code == 0, added.output
    assert "licence: not stated" in added.output
    assert "the default one, answer, has 6 numbers" in added.output
    listed = run(app, ["list", "layers", "onnx:toy"]).output
    assert "onnx:toy@maps.Conv_output_0" in listed
    assert "onnx:toy" in run(app, ["weights", "list"]).output
    assert fk.list_backbones().set_index("name").loc["onnx:toy", "group"] == "by reference"
    for words, said in (
        (["onnx:toy", "toy.onnx", "--mean", "a"], "--mean must be numbers"),
        (["onnx:toy", "toy.onnx", "--std", "0,1,1"], "must be three numbers above 0"),
        (["onnx:toy", "toy.onnx", "--mean", "127.5"], "from 0 to 255, divide them by 255"),
        (["onnx:toy", "fixed.onnx", *options], "--input-size 32 does not fit fixed.onnx, whose input is 16"),
        (["onnx:toy"], "Give the file too: featurekit weights add onnx:toy FILE"),
        (["toy.onnx", "--mean", "0.5"], "--mean has no effect"),
        (["toy.onnx", "--replace"], "--replace has no effect"),
        (["toy", "toy.onnx"], "'toy' is no reference"),
        (["onnx:toy", "toy.onnx", "--name", "x"], "--name has no effect"),
        (["onnx:toy", "toy.onnx", *options, "--template", "face"], "Unknown template 'face'"),
        (["onnx:toy", "toy.onnx", "--input-size", "0"], "must be numbers of pixels from 1 to 4,096"),
        (["onnx:toy", "toy.onnx", *options, "--resize", "16"], "--resize 16 is smaller than --input-size 32"),
        (["onnx:to y", "toy.onnx", *options], "cannot be the name of a network"),
        (["onnx:toy", "gone.onnx", *options], "Cannot read gone.onnx"),
    ):
        refused = run(app, ["weights", "add", *words])
        assert isinstance(refused.exception, FeaturekitError), words
        assert said in str(refused.exception)
