"""The script an analyst would write today: UTKFace folder → three embeddings → tuned classifiers → table.

insightface finds the face, ONNX Runtime and torchvision embed it, scikit-learn and XGBoost are tuned by
GridSearchCV inside cross-validation. No tricks, and no mistakes that would make it slower: each picture
is read and its face found once for all three networks, searches run on all threads. Where SCRFD finds no
face the whole picture is taken, because UTKFace's pictures are face chips.
"""

import time

started = time.perf_counter()

import importlib.metadata
import json
import platform
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import torch

if "+cpu" in torch.__version__ and "+" not in importlib.metadata.version("torchvision"):
    # A torchvision made for CUDA beside a torch without: it misses operators that no network here uses.
    for operator in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )

import torchvision
from insightface.model_zoo import get_model
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier

job = json.loads(Path(sys.argv[-1]).read_text())
THREADS = job["threads"]
DLIB_MEAN = np.float32([122.782, 117.001, 104.298])
IMAGENET_MEAN, IMAGENET_STD = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])
AGE_GROUPS = ((0, 2), (4, 6), (8, 12), (15, 20), (25, 32), (38, 43), (48, 53), (60, 116))


def dlib_network(path, layer):
    """Open an ONNX file and read an inner layer of it."""
    model = onnx.load(path)
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(layer))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name

    def embed(face, side):
        pixels = (cv2.resize(face, (side, side)).astype(np.float32) - DLIB_MEAN) / 256
        return session.run([layer], {name: pixels.transpose(2, 0, 1)[None]})[0].reshape(-1)

    return embed


def mobilenet(path):
    """Open torchvision's MobileNet V2 without its classifier."""
    network = torchvision.models.mobilenet_v2(weights=None)
    network.load_state_dict(torch.load(path, weights_only=True))
    network.classifier = torch.nn.Identity()
    network.eval()

    def embed(face):
        pixels = (cv2.resize(face, (224, 224)).astype(np.float32) - IMAGENET_MEAN) / IMAGENET_STD
        with torch.inference_mode():
            return network(torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()))[0].numpy()

    return embed


def embed_all(files):
    """Return the three embeddings of each picture side by side, and how many faces were found."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    detector = get_model(job["detector"], providers=["CPUExecutionProvider"], sess_options=options)
    detector.prepare(ctx_id=-1, input_size=(job["frame"], job["frame"]), det_thresh=0.5)
    age = dlib_network(job["age"], "layer_1_flatten")
    gender = dlib_network(job["gender"], "layer_4_flatten")
    imagenet = mobilenet(job["mobilenet"])
    ages, genders, things, n_found = [], [], [], 0
    for path in files:
        picture = cv2.imread(str(path))
        boxes, _ = detector.detect(picture, max_num=1)
        face = picture
        if len(boxes):
            n_found += 1
            x1, y1, x2, y2 = boxes[0, :4]
            margin = 0.15 * max(x2 - x1, y2 - y1)
            left, top = (int(max(0, value - margin)) for value in (x1, y1))
            face = picture[top : int(y2 + margin), left : int(x2 + margin)]
        face = cv2.cvtColor(face, cv2.COLOR_BGR2RGB)
        ages.append(age(face, 64))
        genders.append(gender(face, 32))
        things.append(imagenet(face))
    for name, vectors in (("age", ages), ("gender", genders), ("mobilenet", things)):
        np.save(Path(job["scratch"]) / f"{name}.npy", np.array(vectors), allow_pickle=False)
    return np.hstack([np.array(ages), np.array(genders), np.array(things)]), n_found


def searches():
    """Return each classifier with its grid, cut to the number of candidates asked for."""

    def grid(first, second, n):
        # Smaller grids are square as far as they can be.
        width = max(1, int(n**0.5))
        return {first[0]: first[1][: n // width], second[0]: second[1][:width]}

    return {
        "svm": (
            make_pipeline(StandardScaler(), SVC()),
            grid(("svc__C", [1, 4, 16, 64, 256, 1024]), ("svc__gamma", [1e-4, 3e-5, 3e-4, 1e-5]), job["svm"]),
            THREADS,
        ),
        "random_forest": (
            RandomForestClassifier(200, n_jobs=1, random_state=0),
            grid(("min_samples_leaf", [1, 3, 5, 9]), ("max_features", ["sqrt", 0.05]), job["random_forest"]),
            THREADS,
        ),
        "xgboost": (
            XGBClassifier(n_estimators=200, tree_method="hist", n_jobs=THREADS, random_state=0),
            grid(("max_depth", [4, 6, 3, 8]), ("learning_rate", [0.1, 0.3]), job["xgboost"]),
            1,
        ),
    }


def main():
    """Do the whole job and print the table and the answer."""
    torch.set_num_threads(THREADS)
    cv2.setNumThreads(THREADS)
    files = sorted(Path(job["folder"]).iterdir())
    labels = [re.match(r"(\d+)_([01])_", path.name).groups() for path in files]
    years = np.array([int(age) for age, _ in labels])
    groups = np.array([next((i for i, (a, b) in enumerate(AGE_GROUPS) if a <= y <= b), -1) for y in years])
    genders = np.array([int(gender) for _, gender in labels])
    X, n_found = embed_all(files)
    embedded = time.perf_counter()
    table, seconds = [], {"embed": embedded - started}
    for target, y in (("age_group", groups), ("gender", genders)):
        kept = y >= 0
        rows, codes = X[kept], LabelEncoder().fit_transform(y[kept])
        for name, (model, grid, n_jobs) in searches().items():
            began = time.perf_counter()
            exact, balanced = [], []
            outer = StratifiedKFold(job["folds"], shuffle=True, random_state=0)
            for train, test in outer.split(rows, codes):
                inner = StratifiedKFold(job["inner_folds"], shuffle=True, random_state=1)
                search = GridSearchCV(model, grid, cv=inner, n_jobs=n_jobs).fit(rows[train], codes[train])
                answers = search.predict(rows[test])
                exact.append(accuracy_score(codes[test], answers))
                balanced.append(balanced_accuracy_score(codes[test], answers))
            seconds[f"{target} {name}"] = time.perf_counter() - began
            table.append((target, name, np.mean(exact), np.std(exact), np.mean(balanced)))
    print(pd.DataFrame(table, columns=["target", "model", "exact", "spread", "balanced"]).to_string())
    names = ("insightface", "onnxruntime", "torch", "torchvision", "scikit-learn", "xgboost", "numpy")
    answer = {
        "seconds": time.perf_counter() - started,
        "n": 1,
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in names},
        },
        "scores": {f"{target} {name}": f"{exact:.2%}" for target, name, exact, _, _ in table},
        "notes": [
            f"{n_found} of {len(files)} faces found, the others taken whole",
            "; ".join(f"{what} {value:.1f} s" for what, value in seconds.items()),
        ],
        "details": {f"{target} {name}": float(exact) for target, name, exact, _, _ in table},
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
