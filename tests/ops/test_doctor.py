"""What the doctor finds, on installations and machines that are made up to be ill."""

import base64
import hashlib
import sys
from pathlib import Path

import pytest

from featurekit.findings import Finding
from featurekit.networks import precisions, weights
from featurekit.networks.precisions import Loss
from featurekit.networks.weights import Archive, Licences, WeightsEntry
from featurekit.ops import doctor

no_gpu = pytest.mark.skipif(doctor.has_gpu(), reason="this machine has a GPU")
TELLING = "onnxruntime/capi/build_and_package_info.py"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    monkeypatch.setenv("FEATUREKIT_HOME", str(folder))
    return folder


# ---- onnxruntime packages


def install(folder, package, *, cuda=False, record=True):
    """Do what pip does with a package of onnxruntime: write over what is there, keep a record."""
    code = f"package_name = '{package}'\n".encode()
    capi = folder / "onnxruntime/capi"
    capi.mkdir(parents=True, exist_ok=True)
    (folder / TELLING).write_bytes(code)
    if cuda:
        (capi / "libonnxruntime_providers_cuda.so").write_bytes(b"")
    about = folder / f"{package.replace('-', '_')}-1.32.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.32.0\n")
    if record:
        digest = base64.urlsafe_b64encode(hashlib.sha256(code).digest()).decode().rstrip("=")
        (about / "RECORD").write_text(f"{TELLING},sha256={digest},{len(code)}\n")


def test_one_onnxruntime_is_in_order(tmp_path):
    install(tmp_path, "onnxruntime")
    finding = doctor.check_onnxruntime_packages([tmp_path])
    assert finding.severity == "ok"
    assert finding.what == "onnxruntime 1.32.0; the module onnxruntime belongs to onnxruntime, without CUDA"


def test_no_onnxruntime_is_a_problem(tmp_path):
    finding = doctor.check_onnxruntime_packages([tmp_path])
    assert (finding.severity, finding.advice) == ("error", "pip install onnxruntime")


def test_the_cpu_package_over_the_gpu_package_is_told_from_the_files(tmp_path):
    install(tmp_path, "onnxruntime-gpu", cuda=True)
    (tmp_path / "onnxruntime/capi/libonnxruntime_providers_cuda.so").unlink()
    install(tmp_path, "onnxruntime")
    finding = doctor.check_onnxruntime_packages([tmp_path])
    assert finding.severity == "error"
    assert "onnxruntime 1.32.0, onnxruntime-gpu 1.32.0" in finding.what
    assert "the module onnxruntime belongs to onnxruntime, without CUDA" in finding.what
    assert finding.advice == (
        "pip uninstall -y onnxruntime onnxruntime-gpu && pip install --no-deps onnxruntime-gpu"
    )


def test_the_gpu_package_over_the_cpu_package_works_but_is_warned_of(tmp_path):
    install(tmp_path, "onnxruntime")
    install(tmp_path, "onnxruntime-gpu", cuda=True)
    finding = doctor.check_onnxruntime_packages([tmp_path])
    assert finding.severity == "warning"
    assert "the module onnxruntime belongs to onnxruntime-gpu, with CUDA" in finding.what
    assert "uninstall" in finding.advice


def test_a_gpu_package_that_lost_its_cuda_library_is_a_problem(tmp_path):
    install(tmp_path, "onnxruntime-gpu")
    finding = doctor.check_onnxruntime_packages([tmp_path])
    assert finding.severity == "error"
    assert "without CUDA" in finding.what


@pytest.mark.parametrize("ill", ["overwritten", "deleted", "no record"])
def test_a_module_that_is_nobodys_is_a_problem(tmp_path, ill):
    install(tmp_path, "onnxruntime", record=ill != "no record")
    if ill == "overwritten":
        (tmp_path / TELLING).write_text("package_name = 'onnxruntime-directml'\n")
    if ill == "deleted":
        (tmp_path / TELLING).unlink()
    finding = doctor.check_onnxruntime_packages([tmp_path])
    assert finding.severity == "error"
    assert finding.advice == "pip install --force-reinstall --no-deps onnxruntime"


def test_packages_that_only_sound_like_onnxruntime_do_not_count(tmp_path):
    install(tmp_path, "onnxruntime")
    about = tmp_path / "onnxruntime_extensions-0.15.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-extensions\nVersion: 0.15\n")
    (about / "RECORD").write_text("onnxruntime_extensions/__init__.py,,\n")
    assert doctor.check_onnxruntime_packages([tmp_path]).severity == "ok"


# ---- libraries


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Make a module that Python can find; it is forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def make(name, code):
        (tmp_path / f"{name}.py").write_text(code)
        made.append(name)
        return name

    yield make
    for name in made:
        sys.modules.pop(name, None)


def test_a_library_tells_its_version(module):
    module("sound_library", "import warnings\nwarnings.warn('old')\n__version__ = '1.2'")
    finding = doctor.check_library("sound_library", "sound-library")
    assert finding == Finding(name="sound_library", severity="ok", count=0, of=0, what="1.2")


def test_a_missing_library_comes_with_its_install_command():
    finding = doctor.check_library("absent_library", "absent-library")
    assert (finding.severity, finding.what) == ("error", "not installed")
    assert finding.advice == "pip install absent-library"


def test_a_library_that_lacks_another_names_that_one(module):
    module("needy_library", "import absent_library.part")
    finding = doctor.check_library("needy_library", "needy-library")
    assert (finding.what, finding.advice) == (
        "needs absent_library, which is missing",
        "pip install absent_library",
    )


@pytest.mark.parametrize(
    ("code", "repair"),
    [
        ("raise ImportError('libGL.so.1: cannot open shared object file')", "apt-get install libgl1"),
        (
            "raise OSError('libcudart.so.13: cannot open shared object file')",
            "package that has libcudart.so.13",
        ),
        ("raise ValueError('numpy.dtype size changed')", "--force-reinstall --no-deps broken-library"),
        ("import math; math.absent", "--force-reinstall --no-deps broken-library"),
    ],
)
def test_a_library_that_cannot_be_imported_says_why(module, code, repair):
    module("broken_library", code)
    finding = doctor.check_library("broken_library", "broken-library")
    assert finding.severity == "error"
    assert finding.what.startswith("cannot be imported: ")
    assert repair in finding.advice


# ---- GPUs


@no_gpu
@pytest.mark.parametrize("check", ["check_torch_cuda", "check_onnxruntime_cuda", "check_xgboost_cuda"])
def test_a_machine_without_a_gpu_is_in_order(check):
    finding = getattr(doctor, check)(False)
    assert (finding.severity, finding.what) == ("ok", "no GPU, so networks run on the CPU")


@no_gpu
@pytest.mark.parametrize("check", ["check_torch_cuda", "check_onnxruntime_cuda", "check_xgboost_cuda"])
def test_a_gpu_that_a_library_cannot_use_comes_with_a_repair(check):
    finding = getattr(doctor, check)(True)
    assert finding.severity in ("error", "warning")
    assert "GPU" in finding.what
    assert "pip" in finding.advice


def test_a_gpu_is_seen_by_its_device(tmp_path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidiactl").touch()
    assert not doctor.has_gpu(tmp_path, {})
    (tmp_path / "dev/nvidia0").touch()
    assert doctor.has_gpu(tmp_path, {})
    assert doctor.has_gpu(tmp_path, {"CUDA_VISIBLE_DEVICES": "1"})
    assert not doctor.has_gpu(tmp_path, {"CUDA_VISIBLE_DEVICES": ""})


# ---- machine


@pytest.mark.parametrize(
    ("vendor", "flags", "said"),
    [
        (
            "Nobody",
            "fpu avx512_bf16 amx_bf16 amx_tile",
            "run in bf16 by default, because it is one of",
        ),
        ("AuthenticAMD", "fpu avx512_bf16", "run in bf16 by default, because it is one of the AMD"),
        (
            "GenuineIntel",
            "fpu avx512_bf16",
            "run in fp32 by default, because it is one of the Intel",
        ),
        ("Nobody", "fpu avx512_bf16", "in fp32 by default, because the speed of its bf16"),
        ("AuthenticAMD", "fpu avx2", "in fp32 by default, because it has no bf16"),
        ("AuthenticAMD", None, "not known"),
    ],
)
def test_the_default_precision_is_that_of_the_table_and_doctor_says_which_entry_counts(
    tmp_path, vendor, flags, said
):
    lines = f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: 25\nmodel name\t: Made Up 9000\n"
    lines += f"flags\t\t: {flags}\n" if flags else ""
    (tmp_path / "cpuinfo").write_text(lines * 2)
    finding = doctor.check_processor(tmp_path / "cpuinfo")
    assert finding.severity == "ok"
    assert finding.what.startswith("Made Up 9000; ")
    assert said in finding.what


@pytest.mark.parametrize(
    ("flags", "losses", "has_nncf", "said"),
    [
        ("avx2", (0.1, 0.5), True, "not possible: the processor is not known to have VNNI or AMX"),
        ("avx512_vnni", None, True, "not possible: it is offered for no network yet"),
        ("avx512_vnni", (0.4, 0.5), True, "not possible: it is offered for no network yet"),
        ("avx512_vnni", (0.1, 0.5), False, "not possible: NNCF is missing"),
        ("amx_int8", (0.1, 0.5), True, "possible with --precision int8 for tiny"),
    ],
)
def test_doctor_says_whether_int8_is_possible_or_why_not(
    tmp_path, monkeypatch, flags, losses, has_nncf, said
):
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: fpu {flags}\n")
    monkeypatch.setattr(precisions, "INT8_LOSSES", {"tiny": {"gender": Loss(*losses)}} if losses else {})
    finding = doctor.check_int8(tmp_path / "cpuinfo", has_nncf)
    assert (finding.severity, finding.what) == ("ok", said)
    assert ("pip install" in finding.advice) == (not has_nncf)


def test_a_system_without_cpuinfo_is_not_guessed_at(tmp_path):
    assert "not known" in doctor.check_processor(tmp_path / "absent").what


@pytest.mark.parametrize(
    ("chosen", "quota", "status", "repair"),
    [
        ("", None, "ok", ""),
        ("", "max 100000", "ok", ""),
        ("", "200000 100000", "warning", "export OMP_NUM_THREADS=2"),
        ("", "50000 100000", "warning", "export OMP_NUM_THREADS=1"),
        ("", "1600000 100000", "ok", ""),
        ("", "nonsense", "ok", ""),
        ("2", "200000 100000", "ok", ""),
        ("8", "200000 100000", "warning", "export OMP_NUM_THREADS=2"),
        ("4,2", None, "ok", ""),
        ("16", None, "warning", "export OMP_NUM_THREADS=8"),
        ("many", None, "warning", "export OMP_NUM_THREADS=8"),
        ("0", None, "warning", "export OMP_NUM_THREADS=8"),
    ],
)
def test_threads_are_compared_with_what_may_be_used(tmp_path, chosen, quota, status, repair):
    if quota:
        (tmp_path / "cpu.max").write_text(f"{quota}\n")
    environ = {"OMP_NUM_THREADS": chosen} if chosen else {}
    finding = doctor.check_threads(environ, tmp_path, cores=8)
    assert (finding.severity, finding.advice) == (status, repair)
    assert finding.what.startswith("8 cores")


def test_an_older_containers_limit_is_read_too(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("300000\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert doctor.check_threads({}, tmp_path, cores=8).advice == "export OMP_NUM_THREADS=3"
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("-1\n")
    assert doctor.check_threads({}, tmp_path, cores=8).severity == "ok"


def test_a_full_disk_is_warned_of_once_a_disk(tmp_path):
    folders = [tmp_path / "not/there/yet", tmp_path]
    assert [finding.severity for finding in doctor.check_disk(folders, enough=0)] == ["ok"]
    findings = doctor.check_disk(folders, enough=10**18)
    assert [finding.severity for finding in findings] == ["warning"]
    assert "FEATUREKIT_HOME" in findings[0].advice


# ---- weights


@pytest.fixture
def table(monkeypatch, home):
    """One builtin entry and one that is not, of the bytes b"right"."""
    wheel = Archive(name="wheel", requirement="wheel==1.0", sha256="0" * 64)
    facts = {"sha256": hashlib.sha256(b"right").hexdigest(), "size": 5, "about": "made up"}
    facts["licences"] = Licences("MIT", "MIT", "made up")
    entries = (
        WeightsEntry(name="free", file_name="free", archive=wheel, member="m", is_builtin=True, **facts),
        WeightsEntry(name="other", file_name="other", url="https://example.org/other", **facts),
    )
    monkeypatch.setattr(weights, "WEIGHTS", {entry.name: entry for entry in entries})
    (home / "weights").mkdir(parents=True)


@pytest.mark.parametrize(
    ("free", "other", "status", "repair"),
    [
        (b"right", None, "ok", ""),
        (b"right", b"right", "ok", ""),
        (None, None, "error", "featurekit weights fetch builtin"),
        (b"wrong", None, "error", "featurekit weights fetch builtin"),
        (b"right", b"wrong", "error", "featurekit weights fetch other"),
        (b"wrong", b"wrong", "error", "featurekit weights fetch builtin && featurekit weights fetch other"),
    ],
)
def test_weights_are_hashed_and_the_builtin_ones_missed(table, free, other, status, repair):
    for name, data in (("free", free), ("other", other)):
        if data is not None:
            weights.path_of(name).write_bytes(data)
    finding = doctor.check_weights()
    assert (finding.severity, finding.advice) == (status, repair)


# ---- all of it


@pytest.mark.slow
def test_every_problem_comes_with_its_repair_and_every_topic_once(tmp_path):
    findings = doctor.diagnose(tmp_path)
    topics = [finding.name for finding in findings if finding.name != "disk"]
    assert len(set(topics)) == len(topics)
    expected = {"python", "torch", "openvino", "onnxruntime packages", "torch on CUDA", "onnxruntime on CUDA"}
    assert expected | {"xgboost on CUDA", "processor", "int8", "threads", "weights"} <= set(topics)
    assert all(finding.advice for finding in findings if finding.severity != "ok")
    assert all(finding.what and "\n" not in finding.what for finding in findings)
    # The home folder of this test is empty.
    assert next(finding for finding in findings if finding.name == "weights").severity == "error"
    assert Path(weights.home()).exists() is False
