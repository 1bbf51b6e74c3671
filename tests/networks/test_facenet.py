"""FaceNet is read from facenet-pytorch's own files, and says what facenet-pytorch says."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from featurekit.errors import WeightsError
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES
from tests.networks.made_up import empty, facenet_state, saved

LAYERS = ("pooled", "embedding")
NAMES = ("facenet", "facenet_casia")
# Of picture() and the tensors of facenet_state(), by facenet-pytorch 2.6.0: InceptionResnetV1().eval(), and
# the input of its last_linear.
POOLED = [-2.034416, 3.027116, 4.779402, -0.880942, 4.110395, 1.517146, 1.137119, -0.142647]
EMBEDDING = [-0.06021, 0.068345, -0.00088, -0.022403, 0.033857, 0.015042, -0.03463, -0.015332]
# sha256 of the lines "name [sides]\n" of its tensors in their order, without those of its classifier.
TENSORS = "50361ccebda63b87815dc313f518ffe7fe2601eaae374b13ba51ea01d1dcb15b"
WHEEL = "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca"


@pytest.fixture(scope="module")
def file():
    return saved(facenet_state())


@pytest.fixture
def network():
    """The network without values."""
    import torch

    from featurekit.networks.backbones._facenet_module import InceptionResnet

    with torch.device("meta"):
        return InceptionResnet(LAYERS)


def picture():
    rows, columns, colours = np.ogrid[:160, :160, :3]
    return ((rows + 2 * columns + 40 * colours) // 3 % 256).astype(np.uint8)


def pixels(name, images):
    """Return images as the network reads them."""
    import torch

    normalization = BACKBONES[name].normalization
    values = (torch.tensor(images).float() - torch.tensor(normalization.mean)) / torch.tensor(
        normalization.scale
    )
    return values.permute(0, 3, 1, 2)


def test_it_says_what_facenet_pytorch_says(file):
    import torch

    with torch.inference_mode():
        pooled, embedding = (
            BACKBONES["facenet"].load(file, LAYERS).module()(pixels("facenet", picture()[None]))
        )
    assert (pooled.shape, embedding.shape) == ((1, 1792), (1, 512))
    np.testing.assert_allclose(pooled[0, :8], POOLED, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(embedding[0, :8], EMBEDDING, atol=1e-5)
    assert float(embedding.norm()) == pytest.approx(1)


def test_its_tensors_are_those_of_facenet_pytorch(network):
    lines = [f"{name} {list(tensor.shape)}\n" for name, tensor in sorted(network.state_dict().items())]
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == TENSORS


def test_all_that_the_default_layer_uses_can_be_trained_further_and_nothing_else_is_there(network):
    import torch

    module = BACKBONES["facenet"].trainable(saved(empty(network.state_dict())))
    pooled = module(torch.zeros(1, 3, 96, 96))[0]
    assert pooled.shape == (1, 1792)
    pooled.sum().backward()
    assert all(weight.grad is not None for weight in module.parameters())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("cut off", "cannot be read"),
        ("not a file of torch", "cannot be read"),
        ("a list", "cannot be read: it is not a dictionary of tensors"),
        ("numbers", "cannot be read: it is not a dictionary of tensors"),
        ("a tensor less", r'does not fit facenet_casia: Missing key\(s\).*"block8.conv2d.weight"'),
        ("a tensor more", r'does not fit facenet_casia: Unexpected key\(s\).*"block9.weight"'),
        ("another shape", "does not fit facenet_casia: size mismatch for last_linear.weight"),
        ("another network", r"does not fit facenet_casia: Missing key\(s\).{150,200}…$"),
    ],
)
def test_another_file_is_refused_in_one_line(wrong, says, network):
    import torch

    state = empty(network.state_dict())
    content = {
        "cut off": lambda: saved(state)[:-1000],
        "not a file of torch": lambda: b"\x80 no network",
        "a list": lambda: saved(list(state.values())),
        "numbers": lambda: saved({"conv2d_1a.conv.weight": 1.0}),
        "a tensor less": lambda: saved({k: v for k, v in state.items() if k != "block8.conv2d.weight"}),
        "a tensor more": lambda: saved({**state, "block9.weight": torch.zeros(1)}),
        "another shape": lambda: saved({**state, "last_linear.weight": torch.zeros(1).expand(128, 1792)}),
        "another network": lambda: saved({"fc.weight": torch.zeros(1)}),
    }[wrong]()
    with pytest.raises(WeightsError, match=says) as caught:
        BACKBONES["facenet_casia"].load(content, LAYERS).module()
    assert "\n" not in str(caught.value)


def test_the_classifier_is_not_used_and_half_precision_becomes_single_precision(network):
    import torch

    halves = {
        name: torch.zeros((), dtype=torch.half).expand(one.shape) if one.is_floating_point() else one
        for name, one in empty(network.state_dict()).items()
    }
    classifier = {"logits.weight": torch.zeros(1).expand(8631, 512), "logits.bias": torch.zeros(8631)}
    module = BACKBONES["facenet"].load(saved(halves | classifier), ["embedding"]).module()
    assert set(module.state_dict()) == set(network.state_dict())
    assert {one.dtype for one in module.parameters()} == {torch.float32}


def test_a_missing_file_is_named_with_its_source_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path))
    for name in NAMES:
        with pytest.raises(WeightsError) as caught:
            weights.read(name)
        entry = weights.WEIGHTS[name]
        for part in (entry.url, f"featurekit weights fetch {name}", f"weights add {entry.file_name}"):
            assert part in str(caught.value)


BY_FACENET_PYTORCH = """
import sys
import numpy as np
import torch
from facenet_pytorch import InceptionResnetV1

state = torch.load(sys.argv[1], weights_only=True)
network = InceptionResnetV1(classify=True, num_classes=len(state["logits.bias"])).eval()
network.load_state_dict(state)
network.classify = False
images = torch.tensor(np.load(sys.argv[2])).permute(0, 3, 1, 2).float()
with torch.inference_mode():
    np.save(sys.argv[2], network((images - 127.5) / 128).numpy())
"""


@pytest.mark.slow
def test_the_engine_says_what_the_installed_facenet_pytorch_says(file, tmp_path):
    """It wants an older torch, so it is installed without its dependencies, where nothing else looks."""
    wanted = tmp_path / "requirements.txt"
    wanted.write_text(f"facenet-pytorch==2.6.0 --hash=sha256:{WHEEL}\n")
    alone = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--disable-pip-version-check")
    install = [sys.executable, "-m", "pip", "install", "--quiet", *alone, "--target", tmp_path / "installed"]
    done = subprocess.run([*install, "-r", wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"facenet-pytorch cannot be downloaded: {done.stderr.strip()[-200:]}")
    (tmp_path / "weights.pt").write_bytes(file)
    images = np.random.default_rng(1).integers(0, 256, (3, 160, 160, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    theirs = subprocess.run(
        [sys.executable, "-c", BY_FACENET_PYTORCH, tmp_path / "weights.pt", tmp_path / "images.npy"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named" in theirs.stderr:
        pytest.skip(f"facenet-pytorch needs more: {theirs.stderr.strip().splitlines()[-1]}")
    assert theirs.returncode == 0, theirs.stderr
    expected = np.load(tmp_path / "images.npy")
    session = BACKBONES["facenet"].open(file, ["embedding"], device="cpu", precision="fp32")
    (found,) = session(images)
    assert (np.linalg.norm(found - expected, axis=1) <= 1e-4 * np.linalg.norm(expected, axis=1)).all()
