"""Import the scripts of a folder that is no package, such as benchmarks/, as they import each other."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def module_in(folder: Path, name: str) -> ModuleType:
    """Return a module of a folder."""
    sys.path.insert(0, str(folder))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(folder))
