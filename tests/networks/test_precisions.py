"""The precision of each processor, and where int8 is offered."""

import json
from pathlib import Path

import pytest

from featurekit.errors import EngineError
from featurekit.networks import precisions
from featurekit.networks.engines import resolve
from featurekit.networks.precisions import INT8_LOSSES, MOST_POINTS, Loss, Processor, check_int8

VNNI = Processor("a processor", "AuthenticAMD", frozenset({"avx2", "avx512_vnni"}))


@pytest.fixture
def losses(monkeypatch):
    def set_to(**found):
        monkeypatch.setattr(precisions, "INT8_LOSSES", found)

    return set_to


@pytest.mark.parametrize("flag", ["avx512_vnni", "avx_vnni", "amx_int8"])
def test_int8_is_offered_where_it_was_measured_and_the_processor_gains(losses, flag):
    losses(tiny={"gender": Loss(0.3, 1.0)})
    check_int8("tiny", Processor("", "", frozenset({flag})))


def test_int8_is_refused_without_vnni_and_amx(losses):
    losses(tiny={"gender": Loss(0.0, 0.1)})
    with pytest.raises(EngineError, match=r"needs a processor with VNNI or AMX, and old has neither"):
        check_int8("tiny", Processor("old", "", frozenset({"avx2"})))


def test_int8_is_refused_for_a_network_that_was_not_measured(losses):
    losses()
    with pytest.raises(
        EngineError, match=r"int8 was not measured for tiny; `python benchmarks/precision\.py`"
    ):
        check_int8("tiny", VNNI)


@pytest.mark.parametrize("loss", [Loss(0.31, 0.5), Loss(0.1, 1.01)])
def test_int8_is_refused_with_the_figure_if_it_loses_too_much(losses, loss):
    losses(tiny={"gender": Loss(0.0, 0.1), "age_group": loss})
    with pytest.raises(
        EngineError, match=rf"an SVM for age_group loses {loss.points:.2f} points .*at most {loss.upper:.2f}"
    ):
        check_int8("tiny", VNNI)


def test_who_is_refused_int8_is_told_which_networks_have_it(losses):
    losses(tiny={"gender": Loss(0.4, 0.5)}, one={"gender": Loss(0.1, 0.5)}, two={"gender": Loss(0.2, 0.5)})
    with pytest.raises(EngineError, match=r"only networks for which int8 is offered: one, two\.$"):
        check_int8("tiny", VNNI)
    losses(tiny={"gender": Loss(0.4, 0.5)})
    with pytest.raises(EngineError, match=r"are allowed\. Use another precision\.$"):
        check_int8("tiny", VNNI)


def test_the_documentation_names_the_loss_up_to_which_int8_is_offered():
    page = (Path(__file__).parents[2] / "docs" / "how_to" / "networks.md").read_text(encoding="utf-8")
    said = f"lose at most {MOST_POINTS:g} points of an SVM's balanced accuracy in int8"
    assert said in " ".join(page.split())


def test_the_losses_in_int8_are_those_of_the_stored_result():
    result = Path(__file__).parents[2] / "benchmarks" / "results" / "precision.json"
    measured = {}
    for row in json.loads(result.read_text())["rows"]:
        if row.get("precision") == "int8":
            loss = Loss(round(100 * row["loss"], 2), round(100 * row["interval"][1], 2))
            measured.setdefault(row["backbone"], {})[row["target"]] = loss
    assert measured == INT8_LOSSES


def test_auto_is_never_int8_and_a_gpu_has_none():
    assert resolve("cpu", "auto")[1] != "int8"
    assert all(entry.precision != "int8" for entry in precisions.FASTEST)
    assert resolve("cpu", "int8") == ("cpu", "int8")


def test_int8_is_refused_on_a_gpu(monkeypatch):
    monkeypatch.setattr("featurekit.networks.engines.cuda_is_usable", lambda: True)
    with pytest.raises(EngineError, match="int8 runs on the CPU only"):
        resolve("cuda", "int8")
