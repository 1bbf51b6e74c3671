"""That memory stays flat over photographs of 48 megapixels.

Writes some photographs of 8,000 × 6,000 pixels, made by enlarging those of a
folder, copies of each under another content (a comment in the file), and extracts
them all. Prints the highest memory of all processes together.

    python benchmarks/large_photographs.py ../shared/data/wider/images --count 2000
"""

import argparse
import io
import resource
import sys
import tempfile
from pathlib import Path

import pandas as pd
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed

from featurekit.cache.store import Store
from featurekit.data.prepare import prepare
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.recipe import make_recipes
from featurekit.faces.settings import default_settings

SIZE = (8000, 6000)


def with_comment(jpeg: bytes, comment: str) -> bytes:
    """Return a JPEG with a comment behind its first marker: another content, the same picture."""
    text = comment.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def highest_memory(whose: int) -> float:
    """Return the highest resident memory of this process, or of the largest it has started, in GiB."""
    return resource.getrusage(whose).ru_maxrss / 2**20


def main() -> None:
    """Extract large photographs and print the memory it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder of photographs with faces")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--different", type=int, default=20, help="different pictures among them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backbone", action="append", help="default: dlib_age and dlib_gender")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = sorted(options.data.rglob("*.jpg"))[: options.different]
        rows = []
        for number, source in enumerate(sources):
            file = io.BytesIO()
            with Image.open(source) as picture:
                picture.convert("RGB").resize(SIZE).save(file, "JPEG", quality=80)
            for copy in range(number, options.count, len(sources)):
                (folder / f"{copy}.jpg").write_bytes(with_comment(file.getvalue(), str(copy)))
                rows.append({"image_path": f"{copy}.jpg", "age": 20 + copy % 50, "gender": "female"})
        del file
        pd.DataFrame(rows).to_csv(folder / "rows.csv", index=False)
        manifest = prepare("table", folder / "rows.csv")
        settings = default_settings()
        recipes = make_recipes(options.backbone or ["dlib_age", "dlib_gender"], settings, device="cpu")
        before = highest_memory(resource.RUSAGE_SELF)
        done = extract(manifest, recipes, settings, Store(folder / "cache"), threads=options.threads)
    # Every helper counted as the largest of them, and all as if they had been largest at once.
    peak = highest_memory(resource.RUSAGE_SELF) + options.threads * highest_memory(resource.RUSAGE_CHILDREN)
    print(
        f"{done.n_read:,} photographs of {SIZE[0] * SIZE[1] / 1e6:.0f} megapixels in {done.seconds:.0f} s"
        f" ({done.n_read / done.seconds:.1f}/s): {dict(done.statuses)}"
    )
    print(f"Highest memory {peak:.2f} GiB, of which {before:.2f} GiB before the extraction (1.5 GiB allowed)")


if __name__ == "__main__":
    main()
