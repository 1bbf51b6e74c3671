"""What the tests of this folder ask of a command."""


def one_line(result, *parts):
    code, _, errors = result
    assert code == 1
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, errors
    for part in parts:
        assert part in lines[0]
