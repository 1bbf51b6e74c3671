"""What tests of the page share: made-up faces, some with hostile names, and a server of them."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import featurekit as fk
from featurekit.explore.opening import Explorer, explore
from featurekit.explore.server import Server
from featurekit.naming import Caller

HOSTILE = (
    "<img src=x onerror=alert(1)>.png",
    "a'\"&amp;<script>alert(2)<script>.png",
    "=cmd|' \u2215C calc'!A0.png",
    "invisible\u202egnp.png",
    "../../etc/passwd%2f..png".replace("/", "\u2215"),
)


def make_project(folder: Path, n_faces: int, *, models: bool = True) -> fk.Project:
    """Make a project of small images, four of a subject: women are rather reddish, men rather bluish."""
    rng = np.random.default_rng(0)
    rows = []
    (folder / "photos").mkdir(parents=True)
    for number in range(n_faces):
        gender = "female" if number % 2 else "male"
        tone = np.array([130, 90, 70]) if gender == "female" else np.array([70, 90, 130])
        pixels = np.clip(tone + rng.normal(0, 40, 3) + rng.normal(0, 10, (24, 20, 3)), 0, 255)
        name = HOSTILE[number] if number < len(HOSTILE) else f"face{number:03}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "photos" / name)
        rows.append(
            (name, f"s{number // 4}", gender, float(20 + number % 50), ("red", "<b>none</b>")[number % 3 > 0])
        )
    table = pd.DataFrame(rows, columns=["file", "person", "sex", "years", "hair"])
    project = fk.Project(folder / "work")
    how: dict[str, Any] = {"project": project, "progress": False}
    labels = {"gender": "sex", "age": "years", "hair": "hair"}
    where = {"images": "file", "subject": "person", "root": folder / "photos", "name": "made-up"}
    data = fk.Dataset.from_frame(table, labels=labels, **where, **how)
    table.to_csv(folder / "people.csv", index=False)
    X = fk.embed(data, "mean_color", detector="whole_image", **how)
    if models:
        fk.evaluate(data, X, ["logistic_regression"], target=["gender", "age"], folds=2, **how)
    return project


def open_page(project: fk.Project, marks: Path, **options: Any) -> Explorer:
    """Return what the page of a project shows."""
    data = fk.Dataset.load(project.folder.manifest)
    folder = project.folder.report("made-up")
    results = fk.load_results(folder) if (folder / "runs").is_dir() else None
    return explore(project.folder, data, marks, **{"results": results, **options})


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> fk.Project:
    """A project of 60 faces with models of two targets."""
    Caller.is_command_line = True
    return make_project(tmp_path_factory.mktemp("faces"), 60)


@pytest.fixture
def page(project: fk.Project, tmp_path: Path) -> Explorer:
    """What its page shows."""
    return open_page(project, tmp_path / "marks.csv")


@pytest.fixture
def serve() -> Iterator[Callable[[Explorer], Server]]:
    """Serve pages until the end of the test."""
    servers = []

    def start(page: Explorer) -> Server:
        server = Server(page)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(page: Explorer, serve: Callable[[Explorer], Server]) -> Server:
    """A server of the page of 60 faces."""
    return serve(page)


class Answer:
    """An answer of the server."""

    def __init__(self, got: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = got.status, got.headers, got.read()

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture
def request_(server: Server) -> Callable[..., Answer]:
    """Send a request to the server, and return its answer."""

    def send(
        place: str, method: str = "GET", *, token: str | None = None, body: Any = None, **headers: str
    ) -> Answer:
        whole = f"/{server.token if token is None else token}/{place}" if token != "" else f"/{place}"
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if data is not None:
            more.setdefault("Content-Type", "application/json")
        connection.request(method, whole, data, more)
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    return send
