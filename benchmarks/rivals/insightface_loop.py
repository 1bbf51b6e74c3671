"""insightface's loop: detect on one picture, crop the face, one forward of the embedding network.

Where it finds no face the whole picture goes through the network, so that every side does the same number
of forwards; how many those were is told with the faces found.
"""

import importlib.metadata
import json
import platform
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from insightface.model_zoo import get_model


def main():
    """Read the job, time the loop, print the answer."""
    job = json.loads(Path(sys.argv[-1]).read_text())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    options.log_severity_level = 3
    cv2.setNumThreads(job["threads"])
    providers = ["CPUExecutionProvider"]
    detector = get_model(job["detector"], providers=providers, sess_options=options)
    detector.prepare(ctx_id=-1, input_size=(job["frame"], job["frame"]), det_thresh=0.5)
    network = onnxruntime.InferenceSession(job["network"], options, providers=providers)
    name = network.get_inputs()[0].name
    side, mean, scale = job["side"], np.float32(job["mean"]), np.float32(job["scale"])

    def embed(path):
        picture = cv2.imread(path)
        boxes, _ = detector.detect(picture, max_num=1)
        crop = picture
        if len(boxes):
            x1, y1, x2, y2 = boxes[0, :4]
            margin = 0.1 * max(x2 - x1, y2 - y1)
            left, top = (int(max(0, value - margin)) for value in (x1, y1))
            crop = picture[top : int(y2 + margin), left : int(x2 + margin)]
        crop = cv2.cvtColor(cv2.resize(crop, (side, side)), cv2.COLOR_BGR2RGB)
        pixels = ((crop - mean) / scale).transpose(2, 0, 1)[None]
        return network.run(None, {name: np.ascontiguousarray(pixels, dtype=np.float32)})[0], len(boxes)

    files = [str(path) for path in sorted(Path(job["folder"]).iterdir())]
    for path in files[:4]:
        embed(path)
    started = time.perf_counter()
    embedded = [embed(path) for path in files]
    seconds = time.perf_counter() - started
    found = sum(n_faces for _, n_faces in embedded)
    names = ("insightface", "onnxruntime", "opencv-python", "numpy")
    answer = {
        "seconds": seconds,
        "n": len(files),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in names},
        },
        "scores": {"faces found": found},
        "notes": [f"{len(files) - found} pictures without a face found were embedded whole"],
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
