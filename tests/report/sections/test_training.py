"""How networks learned, and what it took."""

import re
from dataclasses import replace

from tests.report.made_up import html_of, make_run, markdown_of, score, trained_run


def test_the_minutes_of_a_network_trained_elsewhere_are_blank():
    network = trained_run(hardware={"processor": "another"})
    text = markdown_of([make_run(scores={"accuracy": score(0.9)}), network], "t")
    assert "| mobilenet_v2 | multitask_cnn | 3 | 2 | 900 | 100 | — | — |" in text
    assert text.count("Times are blank for 1 run, which was timed on another machine") == 2


def test_how_many_faces_were_held_out_and_changed_is_read_from_the_training():
    run = trained_run()
    assert "Solid lines: on validation faces, 10 % of the training part" in html_of([run], "t")
    assert "data augmentation" not in html_of([run], "t")
    changed = replace(
        run,
        parameters={"augment": True},
        training=tuple({**one, "held_out_faces": 0} for one in run.training),
    )
    page = html_of([changed], "t")
    assert "data augmentation" in page
    assert "Solid lines:" not in page


def test_networks_that_learn_one_target_are_not_said_to_learn_several():
    assert "together is trained once" not in markdown_of([trained_run()], "t")
    run = trained_run()
    history = [{**line, "age": 9.0, "held_out_age": 9.5} for line in run.training[0]["history"]]
    both = replace(run, training=({**run.training[0], "history": history},))
    assert "A network that learns age, gender together is trained once" in markdown_of([both], "t")


def test_how_networks_learned_is_drawn_and_what_it_took_is_told():
    runs = [make_run(), trained_run()]
    html, text = html_of(runs, "x"), markdown_of(runs, "x")
    assert "Gender: learning curves of the networks" in html
    assert html.count("<polyline") == 8  # loss and score, learned from and held out, wide and narrow
    assert "| mobilenet_v2 | multitask_cnn | 3 | 2 | 900 | 100 | 82 | 3.0 |" in text
    assert "learning curves of the networks" not in html_of([make_run()], "x")


def test_the_curves_of_folds_that_stopped_at_different_epochs_end_with_the_first():
    run = trained_run()
    longer = trained_run(n_epochs=5).training[0]
    page = html_of([replace(run, training=(run.training[0], longer))], "x")
    curve = re.search(r'<polyline class="curve" points="([^"]+)"', page)
    assert curve is not None
    assert len(curve[1].split()) == 3
