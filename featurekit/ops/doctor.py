"""Check what this machine can do, and find problems of the installation.

A library may report a GPU but run on the CPU, two packages may overwrite each other, and a container may use
fewer cores than it shows. So each check runs a small computation, and reads back where it ran. Each problem
is reported with the command that solves it.
"""

import base64
import hashlib
import importlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from featurekit.findings import Finding, Severity
from featurekit.networks import weights
from featurekit.networks.engines import usable_cores
from featurekit.networks.precisions import (
    fastest_on,
    fastest_precision,
    in_int8,
    this_processor,
)
from featurekit.registry import BUILTIN, SESSION, Package, problems
from featurekit.text import first_line
from featurekit.version import __version__

# Module → distribution, of the libraries on which numbers depend; openvino has its own check.
LIBRARIES = {
    "numpy": "numpy",
    "pandas": "pandas",
    "cv2": "opencv-python",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "xgboost": "xgboost",
    "torch": "torch",
    "torchvision": "torchvision",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "insightface": "insightface",
}

ENOUGH_BYTES = 5_000_000_000
_ONNXRUNTIME_REPAIR = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install --no-deps onnxruntime-gpu"
# What an installed library raises if it cannot be imported: a system library is missing, files of two
# versions are mixed, or it was built for another numpy.
_IMPORT_ERRORS = (ImportError, OSError, AttributeError, RuntimeError, ValueError)


class Missing(Finding):
    """The finding that something is not installed, or not on this machine, and that its advice gets it."""


# The widest first column of a table of the findings.
LONGEST_TOPIC = "onnxruntime packages"


def diagnose(workspace: Path | None = None) -> list[Finding]:
    """Check everything that featurekit depends on. This takes some seconds.

    Args:
        workspace: folder of the workspace, whose disk stores the cache; None for the current folder.
    """
    return list(findings_one_by_one(workspace))


def findings_one_by_one(workspace: Path | None = None) -> Iterator[Finding]:
    """Yield the findings of diagnose(), each as soon as it is known."""
    yield _found(
        "python", "ok", f"{platform.python_version()}, featurekit {__version__}, {platform.platform()}"
    )
    broken = set()
    for module, name in LIBRARIES.items():
        library = check_library(module, name)
        if library.severity == "error":
            broken.add(library.name)
        yield library
    yield check_onnxruntime_packages()
    yield check_openvino()
    gpu = has_gpu()
    if "torch" not in broken:
        yield check_torch_cuda(gpu)
    if not {"onnx", "onnxruntime"} & broken:
        yield check_onnxruntime_cuda(gpu)
    if "xgboost" not in broken:
        yield check_xgboost_cuda(gpu)
    for check in (check_processor, check_int8, check_threads, check_weights):
        yield check()
    yield from check_plugins()
    yield from check_disk([workspace or Path.cwd(), weights.home()])


def _found(name: str, severity: Severity, what: str, advice: str = "") -> Finding:
    return Finding(name=name, severity=severity, count=0, of=0, what=what, advice=advice)


def _missing(name: str, what: str, advice: str) -> Missing:
    return Missing(name=name, severity="error", count=0, of=0, what=what, advice=advice)


def check_library(module: str, distribution: str) -> Finding:
    """Return a finding with the version of a library, or the reason why it cannot be imported."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a library's warnings of its own changes are not for the user
            imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if missing.split(".")[0] == module:
            return _missing(module, "not installed", f"pip install {distribution}")
        return _missing(module, f"needs {missing}, which is missing", f"pip install {missing}")
    except _IMPORT_ERRORS as error:
        return _cannot_import(module, distribution, error)
    return _found(module, "ok", str(getattr(imported, "__version__", "version not known")))


def _cannot_import(module: str, distribution: str, error: Exception) -> Finding:
    if system := re.search(r"(lib[\w.+-]+\.so[\w.]*): cannot open", str(error)):
        repair = f"Install the system package that has {system[1]}"
        if system[1].startswith("libGL"):
            repair += ", on Debian: apt-get install libgl1 libglib2.0-0"
    else:
        repair = f"pip install --force-reinstall --no-deps {distribution}"
    return _found(module, "error", f"cannot be imported: {first_line(error)}", repair)


def check_onnxruntime_packages(folders: Sequence[Path] | None = None) -> Finding:
    """Return a finding with the installed onnxruntime packages, and the package that the module belongs to.

    onnxruntime and onnxruntime-gpu both write to the folder onnxruntime. The package that was installed last
    replaces the files of the other package, and pip does not warn.

    Args:
        folders: folders in which packages are searched; None for the search path of Python.
    """
    topic = "onnxruntime packages"
    packages: dict[str, importlib.metadata.Distribution] = {}
    for found in importlib.metadata.distributions(
        path=sys.path if folders is None else list(map(str, folders))
    ):
        name = (found.metadata["Name"] or "").lower()
        # onnxruntime-extensions and -genai have their own folders. The first package on the path is imported.
        if name.startswith("onnxruntime") and (found.files is None or _telling_file(found)):
            packages.setdefault(name, found)
    if not packages:
        return _missing(topic, "none is installed", "pip install onnxruntime")
    listed = ", ".join(f"{name} {found.version}" for name, found in sorted(packages.items()))
    owners = [name for name, found in packages.items() if _owns_module(found)]
    with_gpu = "onnxruntime-gpu" in packages
    if len(owners) != 1:
        message = f"{listed}; it is not known to which package the module onnxruntime belongs"
        again = f"pip install --force-reinstall --no-deps {min(packages)}"
        return _found(topic, "error", message, _ONNXRUNTIME_REPAIR if with_gpu else again)
    capi = Path(str(packages[owners[0]].locate_file("onnxruntime/capi")))
    has_cuda = any(capi.glob("*onnxruntime_providers_cuda*"))
    message = (
        f"{listed}; the module onnxruntime belongs to {owners[0]}, {('with' if has_cuda else 'without')} CUDA"
    )
    if len(packages) == 1 and (has_cuda or not with_gpu):
        return _found(topic, "ok", message)
    # Two packages that share a folder work until one of them is updated.
    return _found(topic, "error" if with_gpu and not has_cuda else "warning", message, _ONNXRUNTIME_REPAIR)


# A file with the name of its package: it differs between packages whose other files are the same.
_TELLING_FILE = "onnxruntime/capi/build_and_package_info.py"


def _telling_file(package: importlib.metadata.Distribution) -> importlib.metadata.PackagePath | None:
    """Return the package's record of the telling file, or None if it has none."""
    return next((file for file in package.files or [] if file.as_posix() == _TELLING_FILE), None)


def _owns_module(package: importlib.metadata.Distribution) -> bool:
    """Whether the telling file on the disk is that of the package."""
    file = _telling_file(package)
    if file is None or file.hash is None:
        return False
    try:
        data = Path(str(package.locate_file(file))).read_bytes()
    except OSError:
        return False
    digest = hashlib.new(file.hash.mode, data).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=") == file.hash.value


def check_openvino() -> Finding:
    """Check that OpenVINO can use the CPU, and list its devices."""
    from featurekit.networks.engines.openvino import import_openvino

    try:
        openvino = import_openvino()
        devices = list(openvino.Core().available_devices)
    except _IMPORT_ERRORS as error:
        return _cannot_import("openvino", "openvino", error)
    message = f"{openvino.__version__.split('-')[0]}, devices {', '.join(devices) or 'none'}"
    if "CPU" not in devices:
        return _found("openvino", "error", message, "pip install --force-reinstall --no-deps openvino")
    return _found("openvino", "ok", message)


def has_gpu(root: Path = Path("/"), environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the system has an NVIDIA GPU that CUDA_VISIBLE_DEVICES does not hide."""
    if environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return False
    return any((root / "dev").glob("nvidia[0-9]*")) or (root / "dev/dxg").exists()


def check_torch_cuda(gpu: bool) -> Finding:
    """Add two numbers on the GPU with torch."""
    import torch

    topic = "torch on CUDA"
    # Without a driver torch may warn, and the finding says the same.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        available = torch.cuda.is_available()
    if not available:
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        return _not_cuda(
            topic,
            gpu,
            f"there is a GPU, but torch ({built}) cannot use it",
            "Check the driver with nvidia-smi, then install the torch for this driver: pip install torch",
        )
    try:
        total = float(torch.ones(2, device="cuda").sum().item())
    except RuntimeError as error:
        what = f"fails when used: {first_line(error)}"
        return _found(topic, "error", what, "Restart the driver or free the GPU's memory; see nvidia-smi")
    if total != 2.0:
        return _found(topic, "error", f"1 + 1 gives {total}", "Use --device cpu: the GPU gives wrong results")
    return _found(topic, "ok", f"runs on {torch.cuda.get_device_name()}")


def check_onnxruntime_cuda(gpu: bool) -> Finding:
    """Run a network of two nodes in ONNX Runtime, and read back the device."""
    import numpy as np
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    topic = "onnxruntime on CUDA"
    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    # The list only says what it was built for. Without CUDA in it, asking for CUDA is a warning.
    built = cuda in onnxruntime.get_available_providers()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # otherwise it writes to the terminal what the finding says
    try:
        session = onnxruntime.InferenceSession(
            _two_nodes(), options, providers=[cuda, cpu] if built else [cpu]
        )
        result = session.run(None, {"x": np.array([-1.0, 2.0], np.float32)})[0]
        got = session.get_providers()[0]
    except (errors.Fail, errors.EPFail, errors.RuntimeException, RuntimeError, ValueError) as error:
        if built:
            return _not_cuda(topic, gpu, f"cannot use the GPU: {first_line(error)}", _ONNXRUNTIME_REPAIR)
        what = f"fails even on the CPU: {first_line(error)}"
        return _found(topic, "error", what, "pip install --force-reinstall onnxruntime")
    if list(result) != [0.0, 1.0]:
        return _found(topic, "error", f"computes {list(result)} instead of [0, 1]", _ONNXRUNTIME_REPAIR)
    if got == cuda:
        return _found(topic, "ok", "runs on the GPU")
    what = "cannot use the GPU (CUDA or cuDNN libraries missing)" if built else "is built without CUDA"
    return _not_cuda(
        topic, gpu, f"there is a GPU, but this onnxruntime {what}", _ONNXRUNTIME_REPAIR, "warning"
    )


def _two_nodes() -> bytes:
    """Return an ONNX network whose numbers are exact everywhere: sign(relu(x))."""
    from onnx import TensorProto, helper

    nodes = [helper.make_node("Relu", ["x"], ["h"]), helper.make_node("Sign", ["h"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "two_nodes", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def check_xgboost_cuda(gpu: bool) -> Finding:
    """Fit XGBoost to four rows on the GPU, and read back the device."""
    import numpy as np
    import xgboost

    topic = "xgboost on CUDA"
    rows = xgboost.DMatrix(np.arange(4.0).reshape(4, 1), label=np.array([0, 0, 1, 1]))
    parameters = {"device": "cuda", "max_depth": 1, "verbosity": 0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns and continues on the CPU, which is read back below
            config = json.loads(xgboost.train(parameters, rows, num_boost_round=1).save_config())
    except xgboost.core.XGBoostError as error:
        return _not_cuda(topic, gpu, f"cannot use the GPU: {first_line(error)}", "pip install xgboost")
    device = str(config["learner"]["generic_param"]["device"])
    if device.startswith("cuda"):
        return _found(topic, "ok", f"runs on {device}")
    return _not_cuda(
        topic,
        gpu,
        f"there is a GPU, but xgboost trained on {device}",
        "pip install --force-reinstall --no-deps xgboost",
    )


def _not_cuda(topic: str, gpu: bool, message: str, repair: str, severity: Severity = "error") -> Finding:
    """Return the finding that CUDA cannot be used, which is no problem without a GPU."""
    return (
        _found(topic, severity, message, repair)
        if gpu
        else _found(topic, "ok", "no GPU, so networks run on the CPU")
    )


def check_processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Finding:
    """Check whether the processor supports bf16, and with which instructions."""
    processor = this_processor(cpuinfo)
    name = processor.name or platform.machine()
    if not processor.flags:
        return _found("processor", "ok", f"{name}; support of bf16 is not known")
    entry = fastest_on(processor)
    if entry:
        why = f"it is one of the {entry.kind}: {entry.measured}"
    elif processor.computes_in("bf16"):
        why = "the speed of its bf16 has not been measured (to use bf16: --precision bf16)"
    else:
        why = "it has no bf16"
    precision = fastest_precision(processor)
    return _found("processor", "ok", f"{name}; networks run in {precision} by default, because {why}")


def check_int8(cpuinfo: Path = Path("/proc/cpuinfo"), has_nncf: bool | None = None) -> Finding:
    """Check whether networks can run in int8, and which networks.

    Args:
        cpuinfo: file with the processor's instruction sets, as Linux writes it.
        has_nncf: whether NNCF is installed; None to look.
    """
    if not this_processor(cpuinfo).computes_in("int8"):
        return _found("int8", "ok", "not possible: the processor is not known to have VNNI or AMX")
    offered = in_int8()
    if not offered:
        return _found("int8", "ok", "not possible: it is offered for no network yet")
    if not (find_spec("nncf") is not None if has_nncf is None else has_nncf):
        return _found("int8", "ok", "not possible: NNCF is missing", "pip install 'featurekit[int8]'")
    return _found("int8", "ok", f"possible with --precision int8 for {', '.join(offered)}")


def check_threads(
    environ: Mapping[str, str] = os.environ, cgroup: Path = Path("/sys/fs/cgroup"), cores: int | None = None
) -> Finding:
    """Compare the number of threads of OpenMP with the number of cores that may be used.

    Args:
        environ: environment variables.
        cgroup: folder with the limits of the container.
        cores: number of cores; None for the number that this process may use.
    """
    cores = cores or usable_cores()
    limit = _cgroup_cores(cgroup)
    allowed = min(cores, max(1, round(limit))) if limit else cores
    chosen = environ.get("OMP_NUM_THREADS", "")
    message = f"{cores} cores" + (f", of which the container may use {limit:g}" if limit else "")
    message += f", OMP_NUM_THREADS={chosen}" if chosen else ""
    # OpenMP takes a number for each level of nesting: "4,2".
    first = chosen.split(",")[0].strip() if chosen else str(cores)
    if not first.isdigit() or int(first) == 0:
        problem = "the value of OMP_NUM_THREADS is not a number of threads"
    elif int(first) > allowed:
        problem = (
            "more threads than cores make the computation slower"
            if chosen
            else "by default, OpenMP would start one thread per core, which are too many"
        )
    else:
        return _found("threads", "ok", message)
    return _found("threads", "warning", f"{message}: {problem}", f"export OMP_NUM_THREADS={allowed}")


def _cgroup_cores(cgroup: Path) -> float | None:
    """Return how many cores a container may use; None if there is no limit."""
    try:
        if (cgroup / "cpu.max").exists():
            quota, period = (cgroup / "cpu.max").read_text().split()
        else:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
        return None if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def check_weights() -> Finding:
    """Check the hashes of the weight files, and that no built-in weight file is missing."""
    states = dict(weights.verify())
    wrong = {
        state: [name for name, found in states.items() if found == state]
        for state in ("damaged", "unrecorded")
    }
    missing = [
        name for name, state in states.items() if state == "missing" and weights.WEIGHTS[name].is_builtin
    ]
    present = [name for name, state in states.items() if state == "ok"]
    where = f"in {weights.home() / 'weights'}"
    if any(wrong.values()):
        commands = [_command_for(name, state) for state, names in wrong.items() for name in names]
        what = "; ".join(f"{state} {where}: {', '.join(names)}" for state, names in wrong.items() if names)
        return _found("weights", "error", what, " && ".join(dict.fromkeys(commands)))
    if missing:
        what = f"built-in weights are missing {where}: {', '.join(missing)}"
        return _missing("weights", what, "featurekit weights fetch builtin")
    return _found("weights", "ok", f"{', '.join(present)} {where}")


def _command_for(name: str, state: str) -> str:
    """Return the command that repairs a weight file that is damaged, or whose hash was not recorded."""
    if state == "unrecorded":
        return f"featurekit weights add {weights.path_of(name)}"
    return weights.WEIGHTS[name].command


def check_plugins() -> list[Finding]:
    """List the installed packages that add backbones, estimators and so on, and the packages that fail."""
    from featurekit.checks.base import CHECKS
    from featurekit.data.datasets import DATASETS
    from featurekit.estimators import CLASSIFIERS
    from featurekit.faces.detectors import DETECTORS
    from featurekit.networks.backbones import BACKBONES

    added: dict[Package, list[str]] = {}
    for registry in (BACKBONES, CLASSIFIERS, DATASETS, DETECTORS, CHECKS):
        for name in registry.names():
            package = registry.package_of(name)
            if package not in (BUILTIN, SESSION):
                added.setdefault(package, []).append(f"{registry.kind} {name}")
    found = [_found("plug-ins", "ok", f"{package}: {', '.join(of)}") for package, of in added.items()]
    wrong = [
        _found("plug-ins", "warning", f"{one.package}: {one.reason}", f"pip uninstall {one.package.name}")
        for one in problems()
    ]
    return [*found, *wrong] or [_found("plug-ins", "ok", "none is installed")]


def check_disk(folders: Sequence[Path], enough: int = ENOUGH_BYTES) -> list[Finding]:
    """Return a finding with the free space for each disk of some folders.

    Args:
        folders: paths of the folders, which need not exist yet.
        enough: number of free bytes below which the finding is a warning.
    """
    findings: dict[int, Finding] = {}
    for folder in folders:
        folder = folder.absolute()
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(there).free
        message = f"{free / 1e9:.1f} GB free for {folder}"
        findings.setdefault(
            there.stat().st_dev,
            _found("disk", "ok", message)
            if free >= enough
            else _found(
                "disk",
                "warning",
                f"only {message}",
                "Free some disk space, or use another folder (--workspace) or home (FEATUREKIT_HOME)",
            ),
        )
    return list(findings.values())
