"""That memory stays flat over 100,000 pictures, whole and broken ones, decoded in one process.

Prints how much the resident memory grew after the first tenth, by when everything
is loaded that will be, and exits with 1 where that is 20 MB or more. The allocator
keeps up to 64 MB of what a large picture has given back, so that what is resident
goes up and down with the pictures' sizes: it is asked to let go before it is measured.
What it held on to is printed, too.

    python benchmarks/flat_memory.py --count 100000
"""

import argparse
import ctypes
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed

from _hostile_pictures import mutated, pictures

from featurekit.errors import ImageError
from featurekit.faces.images import decode

ALLOWED_MB = 20


def resident_mb(*, trimmed: bool = True) -> float:
    """Return the memory that this process has now, with or without what the allocator keeps for later."""
    if trimmed:
        ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def main() -> int:
    """Decode the pictures; 0 where memory stayed flat."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100_000, help="pictures in all; at least 10")
    parser.add_argument("--seed", type=int, default=1, help="decides the damage")
    options = parser.parse_args()
    whole = list(pictures().values())
    became: Counter[str] = Counter()
    started, first = time.perf_counter(), max(options.count, 10) // 10
    kept, used = [], []
    for number in range(10 * first):
        data = mutated(options.seed, number)[1] if number % 2 else whole[number // 2 % len(whole)]
        try:
            decode(data)
        except ImageError as error:
            became[error.status] += 1
        else:
            became["decoded"] += 1
        if not (number + 1) % first:
            kept.append(resident_mb(trimmed=False))
            used.append(resident_mb())
    growth = max(used[1:]) - used[0]
    is_flat = growth < ALLOWED_MB
    print(
        f"{became.total():,} pictures in {time.perf_counter() - started:.0f} s: {dict(became.most_common())}"
    )
    print(f"MB after each tenth: {' '.join(f'{mb:.1f}' for mb in used)}")
    print(f"before trimming:     {' '.join(f'{mb:.1f}' for mb in kept)}")
    print(
        f"{'Memory stayed flat' if is_flat else 'MEMORY GREW'}: by {growth:.1f} MB at most after the first"
        f" {first:,} pictures ({ALLOWED_MB} MB allowed; pillow {version('pillow')},"
        f" simplejpeg {version('simplejpeg')})"
    )
    return 0 if is_flat else 1


if __name__ == "__main__":
    sys.exit(main())
