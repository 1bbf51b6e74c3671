"""The front door itself: what it has, and how quickly it opens."""

import importlib
import subprocess
import sys

import pytest

import featurekit as fk

HEAVY = (
    "torch",
    "torchvision",
    "sklearn",
    "openvino",
    "xgboost",
    "onnxruntime",
    "cv2",
    "matplotlib",
    "pandas",
)


def test_every_name_of_the_front_door_is_there_and_described():
    for name in fk.__all__:
        found = getattr(fk, name)
        if not name.startswith("__"):
            assert found.__doc__, name


def test_every_name_is_in_the_list_and_in_the_table_of_rooms():
    assert sorted(fk.__all__) == sorted([*fk._ROOMS, "__version__"])
    assert set(fk.__all__) <= set(dir(fk))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'evalute'"):
        fk.evalute  # noqa: B018


def test_the_front_door_is_lazy():
    """A fresh interpreter that imports featurekit has loaded nothing heavy."""
    asked = f"import sys, featurekit; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_report_and_an_error_in_an_option_wait_for_no_library_of_models():
    modules = ("report.of_comparison", "checks.audit", "inference.draw", "inference.explain", "api.model")
    heavy = ("sklearn", "torch", "matplotlib", "scipy.stats", "xgboost", "openvino")
    asked = f"""
import sys, numpy, featurekit.{", featurekit.".join(modules)}
from featurekit.uncertainty import paired_tests, resampling
resampling.exact_interval(0.5, 10.0, 0.05), paired_tests.corrected_t(numpy.arange(3.0), 20, 10)
print([m for m in {heavy!r} if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_takes_less_than_a_third_of_a_second():
    asked = "import time; t = time.perf_counter(); import featurekit; print(time.perf_counter() - t)"
    times = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
        times.append(float(done.stdout))
    assert min(times) < 0.3


@pytest.mark.parametrize("name", [name for name in fk.__all__ if name[0].islower()])
def test_every_function_has_an_example(name):
    assert ">>>" in getattr(fk, name).__doc__


def test_the_package_says_that_it_is_typed():
    folder = importlib.resources.files("featurekit")
    assert (folder / "py.typed").is_file()
