"""Frames, overlaps, and what is special about single detectors."""

import io
import zipfile

import numpy as np
import pytest

from featurekit.errors import EngineError, WeightsError
from featurekit.faces.detectors import DETECTORS
from featurekit.faces.detectors._frame import detections, fit_frame, intersection_over_union
from featurekit.faces.detectors.centerface import any_size, centerface
from featurekit.faces.detectors.insightface_scrfd import InsightFaceSCRFD, detection_network
from featurekit.faces.detectors.yunet import _OUTPUTS, yunet
from featurekit.networks.engines import Achieved, Session


def test_a_frame_keeps_the_shape_of_the_picture_and_is_black_beside_it() -> None:
    frame, scale = fit_frame(np.full((100, 200, 3), 255, np.uint8), 64)
    assert frame.shape == (64, 64, 3)
    assert (frame[:32] == 255).all()
    assert not frame[32:].any()
    np.testing.assert_allclose(scale, [0.32, 0.32])


def test_a_picture_of_the_frames_size_is_not_touched() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 32, 3), dtype=np.uint8)
    frame, scale = fit_frame(picture, 64)
    np.testing.assert_array_equal(frame[:, :32], picture)
    assert scale.tolist() == [1, 1]


@pytest.mark.parametrize("size", [32, 64, 96, 160, 320, 640])
@pytest.mark.parametrize("shape", [(200, 200), (317, 211), (90, 511)])
def test_a_point_of_the_picture_is_found_in_the_frame_to_a_tenth_of_a_pixel(
    shape: tuple[int, int], size: int
) -> None:
    # A soft spot, whose middle can be measured to a fraction of a pixel.
    height, width = shape
    x, y, radius = 0.61 * width, 0.37 * height, 0.06 * min(shape)
    rows, columns = np.mgrid[:height, :width] + 0.5  # the middle of the first pixel is at 0.5
    spot = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2))
    frame, scale = fit_frame(np.repeat(spot.astype(np.uint8)[:, :, None], 3, axis=2), size)
    weight = frame[:, :, 0].astype(float)
    rows, columns = np.mgrid[:size, :size] + 0.5
    middle = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    np.testing.assert_allclose(middle, np.array([x, y]) * scale, atol=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
def test_the_thinnest_picture_has_a_frame(shape: tuple[int, int]) -> None:
    frame, scale = fit_frame(np.full((*shape, 3), 9, np.uint8), 64)
    assert frame.any()
    assert (scale > 0).all()


def test_boxes_that_touch_or_are_empty_share_nothing() -> None:
    box = np.array([0, 0, 2, 2], np.float32)
    others = np.array([[2, 0, 4, 2], [1, 1, 1, 1], [0, 0, 2, 2], [0, 0, 2, 4]], np.float32)
    assert intersection_over_union(box, others).tolist() == [0, 0, 1, 0.5]


def test_of_boxes_that_overlap_the_most_confident_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10], [0, 1, 10, 11]], np.float32)
    confidences = np.array([0.5, 0.9, 0.7, 0.9], np.float32)
    found = detections(
        boxes, np.zeros((4, 5, 2), np.float32), confidences, np.array([0.5, 2], np.float32), overlap=0.3
    )
    # In pixels of the picture: x doubled, y halved.
    assert [one.box.tolist() for one in found] == [[2, 0, 22, 5], [100, 0, 120, 5]]
    assert [round(one.confidence, 3) for one in found] == [0.9, 0.7]


def test_no_boxes_give_no_detections() -> None:
    nothing = np.zeros((0, 4), np.float32)
    found = detections(nothing, np.zeros((0, 5, 2)), np.zeros(0), np.ones(2, np.float32), overlap=0.3)
    assert found == []


class Said:
    """A session that says what it was told to, whatever it is shown."""

    achieved = Achieved("said", "cpu", "fp32")

    def __init__(self, *outputs: np.ndarray) -> None:
        self._outputs = [output.astype(np.float32) for output in outputs]

    def __call__(self, pixels: np.ndarray) -> list[np.ndarray]:
        """Return the outputs."""
        assert pixels.shape == (1, 64, 64, 3)
        return self._outputs


def test_centerfaces_outputs_are_read_by_hand_checked_arithmetic() -> None:
    heat, extent, offset, points = (np.zeros((1, channels, 16, 16)) for channels in (1, 2, 2, 10))
    heat[0, 0, 5, 3] = 0.8
    extent[0, :, 5, 3] = np.log([6.0, 4.0])  # 24 high, 16 wide
    offset[0, :, 5, 3] = 0.25, -0.25  # down, to the left
    points[0, :, 5, 3] = 0.1, 0.2, 0.1, 0.8, 0.5, 0.5, 0.9, 0.25, 0.9, 0.75  # y, x of each
    session: Session = Said(heat, extent, offset, points)
    (face,) = centerface(session, np.zeros((128, 128, 3), np.uint8), 64)
    # Middle in the frame: x (3 - .25 + .5) · 4 = 13, y (5 + .25 + .5) · 4 = 23.
    # The picture is twice the frame.
    np.testing.assert_allclose(face.box, [10, 22, 42, 70], atol=1e-4)
    expected = [[16.4, 26.8], [35.6, 26.8], [26, 46], [18, 65.2], [34, 65.2]]
    np.testing.assert_allclose(face.landmarks, expected, atol=1e-4)
    assert face.confidence == pytest.approx(0.8)


def test_yunets_outputs_are_read_by_hand_checked_arithmetic() -> None:
    outputs = {}
    for name in _OUTPUTS:
        part, stride = name.split("_")
        cells = (64 // int(stride)) ** 2
        outputs[name] = np.zeros((1, cells, {"bbox": 4, "kps": 10}.get(part, 1)))
    cell = 2 * 4 + 1  # row 2, column 1 of the 4 × 4 cells of stride 16
    outputs["cls_16"][0, cell], outputs["obj_16"][0, cell] = 0.64, 1.0
    outputs["bbox_16"][0, cell] = 0.5, 0.25, np.log(2), np.log(1)
    outputs["kps_16"][0, cell] = np.arange(10) / 10
    session: Session = Said(*(outputs[name] for name in _OUTPUTS))
    (face,) = yunet(session, np.zeros((64, 64, 3), np.uint8), 64)
    np.testing.assert_allclose(face.box, [24 - 16, 36 - 8, 24 + 16, 36 + 8], atol=1e-4)
    np.testing.assert_allclose(face.landmarks[1], [16 + 3.2, 32 + 4.8], atol=1e-4)
    assert face.confidence == pytest.approx(0.8)


def test_the_whole_image_is_the_face() -> None:
    finder = DETECTORS["whole_image"].open(b"", "cpu", "fp32", 1)
    (face,) = finder(np.zeros((30, 50, 3), np.uint8), 320)
    assert face.box.tolist() == [0, 0, 50, 30]
    assert np.isnan(face.landmarks).all()
    assert face.confidence == 1.0


def fixed_network() -> bytes:
    """Return a tiny network that declares sizes it does not have, like CenterFace's file."""
    from onnx import TensorProto, helper

    node = helper.make_node("Relu", ["picture"], ["found"])
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [10, 3, 32, 32])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, [10, 1, 8, 8])],
    )
    return bytes(helper.make_model(graph).SerializeToString())


def test_centerfaces_file_loses_the_sizes_it_declares_wrongly() -> None:
    import onnx

    graph = onnx.load_model_from_string(any_size(fixed_network())).graph
    sizes = graph.input[0].type.tensor_type.shape.dim
    assert [size.dim_param or size.dim_value for size in sizes] == ["n", 3, "height", "width"]
    assert not graph.output[0].type.tensor_type.HasField("shape")


def packed(**files: bytes) -> bytes:
    """Return a zip file with one member for each argument, its name ending in .onnx."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as pack:
        for name, content in files.items():
            pack.writestr(f"pack/{name}.onnx", content)
    return file.getvalue()


def test_the_detector_is_found_in_a_pack_and_a_single_file_is_itself() -> None:
    assert detection_network(packed(det_10g=b"network", w600k_r50=b"other")) == b"network"
    assert detection_network(b"network") == b"network"


@pytest.mark.parametrize("pack", [packed(w600k_r50=b""), packed(det_10g=b"", scrfd_500m=b""), b"PK\3\4"])
def test_a_pack_without_one_detector_is_refused(pack: bytes) -> None:
    with pytest.raises(WeightsError, match=r"Give the ONNX file|cannot be unpacked"):
        detection_network(pack)


def test_another_network_is_no_scrfd() -> None:
    with pytest.raises(WeightsError, match="not an SCRFD network"):
        InsightFaceSCRFD(fixed_network(), "cpu", "fp32", 1)


def test_bytes_that_are_no_network_are_refused_in_one_line() -> None:
    with pytest.raises(WeightsError, match="insightface cannot open") as caught:
        InsightFaceSCRFD(b"no network", "cpu", "fp32", 1)
    assert "\n" not in str(caught.value)


def test_scrfd_does_not_pretend_to_run_in_bf16() -> None:
    with pytest.raises(EngineError, match="fp32 only"):
        InsightFaceSCRFD(fixed_network(), "cpu", "bf16", 1)
