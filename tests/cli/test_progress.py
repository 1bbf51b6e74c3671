"""How far a command is, as lines in a pipe: now and then, and the end once."""

from featurekit.cli._progress import _lines


def test_the_end_is_said_once_however_often_it_is_told(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with _lines("reading", "files") as progress:
        for now[0], done in ((0.0, 1), (12.0, 20), (14.0, 30), (14.5, 30), (15.0, 30)):
            progress(done, 30)
        first = capsys.readouterr().err.splitlines()
        for now[0], done in ((16.0, 1), (20.0, 30)):  # another stage
            progress(done, 30)
    assert [line.partition(" files")[0] for line in first] == ["reading: 20 of 30", "reading: 30 of 30"]
    assert capsys.readouterr().err.startswith("reading: 30 of 30 files")
