"""That no file makes the decoder raise anything but an ImageError, hang or crash: fuzzing led by coverage.

atheris changes files so that they reach ever more lines of featurekit.faces.images and of
Pillow's readers, from the pictures of a folder, or from made-up ones. What ends a
decoding in any other way than with pixels or an ImageError, takes over 10 seconds or
too much memory is a finding: the file is kept, and the exit code is 1.

    python -m pip install atheris
    python benchmarks/fuzz_decoding.py --seconds 600
    python benchmarks/fuzz_decoding.py PATH --seconds 600 --findings FOLDER
"""

import argparse
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))  # so that it runs from a checkout that is not installed

# Small, so that there are many tries a second and that memory beyond the picture's is seen.
MAX_PIXELS = 1_000_000
LARGEST_FILE = 16_384
MEMORY_MB = 1024
AS_CHILD = "--as-child"


def main() -> int:
    """Fuzz for the time asked; 0 where nothing was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path, nargs="?", help="a folder to begin from (default: made up)")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=Path("fuzz_findings"), help="where they are kept")
    options = parser.parse_args()
    if find_spec("atheris") is None:
        sys.exit("atheris is not installed: python -m pip install atheris")
    options.findings.mkdir(parents=True, exist_ok=True)
    before = set(options.findings.iterdir())
    with tempfile.TemporaryDirectory(prefix="fuzz_decoding.") as name:
        corpus, log = Path(name) / "corpus", Path(name) / "log"
        collect(options.pictures, corpus)
        n_begun = len(list(corpus.iterdir()))
        command = [sys.executable, __file__, AS_CHILD, str(corpus)]
        command += [f"-max_total_time={options.seconds}", f"-seed={options.seed}", f"-max_len={LARGEST_FILE}"]
        command += ["-timeout=10", f"-rss_limit_mb={MEMORY_MB}", "-print_final_stats=1"]
        command += ["-close_fd_mask=3", f"-artifact_prefix={options.findings}/"]  # libtiff talks about files
        with log.open("wb") as output:
            code = subprocess.run(command, stdout=output, stderr=output, check=False).returncode
        text = log.read_text(errors="replace")
        n_kept = len(list(corpus.iterdir()))
    versions = ", ".join(f"{name} {version(name)}" for name in ("atheris", "pillow", "simplejpeg"))
    covered = re.findall(r"cov: (\d+) ft: (\d+)", text)
    tries = re.findall(r"number_of_executed_units: (\d+)", text)
    found = sorted(set(options.findings.iterdir()) - before)
    if code or found or not covered or not tries:
        print(text[-4000:])
    if covered and tries:
        (begun, _), (places, features) = covered[0], covered[-1]
        print(
            f"{int(tries[-1]):,} files tried in {options.seconds} s from {n_begun} pictures; {places} places"
            f" of the code reached ({begun} at first), {features} features, {n_kept:,} files worth keeping."
        )
    print(f"{len(found)} findings ({versions}; fuzzer ended with {code})")
    for path in found:
        print(f"{path}: featurekit.faces.images.decode(open({str(path)!r}, 'rb').read()) shows why")
    return 1 if code or found or not tries else 0


def collect(pictures: Path | None, corpus: Path) -> None:
    """Copy the pictures to begin from, as far as they are small enough."""
    from _hostile_pictures import pictures as made_up

    corpus.mkdir()
    if pictures is None:
        files = list(made_up().values())
    else:
        paths = [path for path in sorted(pictures.rglob("*")) if path.is_file()]
        files = [path.read_bytes() for path in paths if path.stat().st_size <= LARGEST_FILE]
    if not files:
        sys.exit(f"No file of up to {LARGEST_FILE:,} bytes in {pictures}.")
    for number, data in enumerate(files):
        (corpus / f"{number:06}").write_bytes(data)


def fuzz() -> None:
    """Be the process that is fuzzed; ends with it."""
    import atheris

    with atheris.instrument_imports(include=["featurekit.faces.images", "PIL"]):
        import PIL.BmpImagePlugin
        import PIL.GifImagePlugin
        import PIL.JpegImagePlugin
        import PIL.PngImagePlugin
        import PIL.TiffImagePlugin
        import PIL.WebPImagePlugin  # noqa: F401

        from featurekit.faces.images import STATUSES, decode
    from _hostile_pictures import PNG, mend_checksums

    from featurekit.errors import ImageError

    def change(data: bytes, max_size: int, _seed: int) -> bytes:
        changed = bytearray(atheris.Mutate(data, max_size))
        if changed.startswith(PNG):
            mend_checksums(changed)
        return bytes(changed)

    def one(data: bytes) -> None:
        try:
            decode(data, max_pixels=MAX_PIXELS)
        except ImageError as error:
            assert error.status in STATUSES  # noqa: PT017

    atheris.Setup([sys.argv[0], *sys.argv[2:]], one, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == [AS_CHILD]:
        fuzz()
    else:
        sys.exit(main())
