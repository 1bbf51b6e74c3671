"""The server of the page: nobody without the address is answered, and nothing but the faces is given away."""

import http.client
import io
import json
import socket
from pathlib import Path

import pytest
from PIL import Image

from featurekit.data.marks import Mark, read_marks, write_marks
from featurekit.errors import WorkspaceError
from featurekit.explore.server import Server


def test_without_the_token_everything_is_refused(request_, server):
    places = ("", "faces.json", "marks.json", "face/0.jpg", "neighbours/0.json", "page.js", "page.css")
    wrong = (
        "",
        "x" * len(server.token),
        server.token[:-1],
        server.token + "x",
        server.token.swapcase(),
        "%C3%BC",
    )
    for place in places:
        for token in wrong:
            answer = request_(place, token=token)
            assert (answer.status, answer.text.count("\n")) == (403, 1), (place, token)
            assert server.token not in answer.text
    assert request_("marks.json", "POST", token="x", body={"version": "", "marks": []}).status == 403
    for place in places:
        assert request_(place).status == 200, place


def test_a_token_is_long_and_another_one_each_time(page):
    tokens = set()
    for _ in range(3):
        with Server(page) as server:
            tokens.add(server.token)
            assert server.address == f"http://127.0.0.1:{server.port}/{server.token}/"
    assert len(tokens) == 3
    assert all(len(token) >= 32 for token in tokens)


def test_it_listens_on_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.socket.family is socket.AF_INET
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            address, state = line.split()[1], line.split()[3]
            if state == "0A" and address.endswith(f":{server.port:04X}"):
                listening.append(address)
    assert listening == [f"0100007F:{server.port:04X}"]
    for other in {"127.0.0.2", socket.gethostbyname(socket.gethostname())} - {"127.0.0.1"}:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((other, server.port), timeout=5)


@pytest.mark.parametrize(
    "host", ["example.org", "127.0.0.1", "127.0.0.1:1", "localhost.example.org:{}", "0.0.0.0:{}"]
)
def test_another_name_of_the_host_is_refused(request_, server, host):
    assert request_("", Host=host.format(server.port)).status == 403
    assert request_("", Host=f"localhost:{server.port}").status == 200


def test_a_page_of_somebody_else_is_refused(request_, server):
    sent = {"version": "", "marks": []}
    for origin in ("https://example.org", "null", f"http://127.0.0.1:{server.port + 1}"):
        assert request_("marks.json", "POST", body=sent, Origin=origin).status == 403
    assert request_("marks.json", "POST", body=sent, Origin=f"http://127.0.0.1:{server.port}").status == 200


def test_the_page_may_load_nothing_from_elsewhere_and_is_not_stored(request_):
    for place in ("", "faces.json", "face/0.jpg", "nothing"):
        headers = request_(place).headers
        policy = dict(one.strip().split(" ", 1) for one in headers["Content-Security-Policy"].split(";"))
        assert policy.pop("img-src") == "'self' data:"
        assert policy.pop("default-src") == policy.pop("frame-ancestors") == "'none'"
        assert set(policy.values()) <= {"'self'", "'none'"}
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Python" not in headers["Server"]
    page = request_("").text
    assert "http://" not in page + request_("page.js").text + request_("page.css").text
    assert " style=" not in page


def test_a_face_is_pixels_only_and_is_named_by_its_row(request_, project):
    face = request_("face/3.jpg")
    assert face.headers["Content-Type"] == "image/jpeg"
    with Image.open(io.BytesIO(face.body)) as image:
        assert image.size == (144, 144)
        assert not image.getexif()
    for place in (
        "face/60.jpg",
        "face/-1.jpg",
        "face/3",
        "face/../manifest.csv",
        "face/%33.jpg",
        "face/%D9%A3.jpg",
    ):
        assert request_(place).status == 404, place
    for place in (
        "../manifest.csv",
        "..%2f..%2fetc/passwd",
        "page.html",
        "server.py",
        "/etc/passwd",
        "faces.json/",
    ):
        assert request_(place).status == 404, place
    assert request_("faces.json?x=/etc/passwd").status == 200


def test_an_image_that_has_changed_is_not_shown(page, project, serve, tmp_path):
    data_root = project.folder.root.parent / "photos"
    image = data_root / "face010.png"
    before = image.read_bytes()
    try:
        image.write_bytes(before + b"x")
        assert page.thumbnail(10) is None
        image.unlink()
        image.symlink_to("/etc/passwd")
        assert page.thumbnail(10) is None
    finally:
        image.unlink()
        image.write_bytes(before)
    assert page.thumbnail(10) is not None


def test_neighbours_are_other_rows_the_most_similar_first(request_):
    found = request_("neighbours/7.json").json()
    assert len(found) == 12
    assert all(row != 7 for row, _ in found)
    assert [value for _, value in found] == sorted((value for _, value in found), reverse=True)
    assert request_("neighbours/60.json").status == 404


def test_hostile_names_are_sent_as_text(request_, page):
    data = request_("faces.json")
    assert data.headers["Content-Type"] == "application/json"
    assert data.json()["images"][0] == "<img src=x onerror=alert(1)>.png"
    assert "\\u202e" in data.json()["images"][3]  # written out, so that no letter turns the others around
    assert data.body.isascii()


def test_marks_are_written_and_read_again(request_, page):
    path = page.marks.path
    assert request_("marks.json").json() == {"version": "", "marks": []}
    sent = [
        {"row": 0, "mark": "exclude", "note": "=1+1"},
        {"row": 2, "mark": "label", "label": "gender", "value": "female"},
        {"row": 2, "mark": "label", "label": "age", "value": "31"},
        {"row": 5, "mark": "label", "label": "hair", "value": ""},
        {"row": 4, "mark": "note", "note": "look again"},
    ]
    answer = request_("marks.json", "POST", body={"version": "", "marks": sent})
    assert (answer.status, answer.json()["marks"]) == (200, 5)
    kept = read_marks(path)
    assert kept[0] == Mark(
        "<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png", "exclude", note="=1+1"
    )
    assert [one[2:5] for one in kept[1:]] == [
        ("label", "age", "31"),
        ("label", "gender", "female"),
        ("note", "", ""),
        ("label", "hair", ""),
    ]
    again = request_("marks.json").json()
    assert again["version"] == answer.json()["version"]
    assert sorted(one["row"] for one in again["marks"]) == [0, 2, 2, 4, 5]
    # What is sent replaces what was there, and marks of other faces and other labels stay.
    others = [Mark("gone.png", "gone.png", "exclude"), kept[1]._replace(label="beard", value="no")]
    write_marks(path, [*kept, *others])
    again = request_("marks.json").json()
    assert len(again["marks"]) == 5
    assert request_("marks.json", "POST", body={"version": again["version"], "marks": []}).status == 200
    assert read_marks(path) == others


def test_a_file_that_somebody_has_changed_is_not_overwritten(request_, page):
    mark = Mark("a.png", "a.png", "exclude")
    write_marks(page.marks.path, [mark])
    answer = request_("marks.json", "POST", body={"version": "", "marks": []})
    assert answer.status == 409
    assert "marks.csv has changed since the page was opened" in answer.text
    assert read_marks(page.marks.path) == [mark]
    page.marks.path.write_text("something else\n")
    assert request_("marks.json").status == 409
    assert page.marks.path.read_text() == "something else\n"


GOOD = {"row": 0, "mark": "exclude"}


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ([{**GOOD, "row": 60}], "not on this page"),
        ([{**GOOD, "row": -1}], "not on this page"),
        ([{**GOOD, "row": True}], "not on this page"),
        ([{**GOOD, "row": "0"}], "not on this page"),
        ([{**GOOD, "mark": "delete"}], "not a mark"),
        ([{**GOOD, "path": "/etc/passwd"}], "not a mark"),
        ([{**GOOD, "label": "gender"}], "not a mark"),
        ([{"row": 0, "mark": "label"}], "not a mark"),
        (["exclude"], "not a mark"),
        ([{**GOOD, "note": "x" * 1001}], "at most 1,000 characters"),
        ([{**GOOD, "note": 1}], "must be texts"),
        ([{"row": 0, "mark": "label", "label": "face_id", "value": "x"}], "no label 'face_id'"),
        (
            [{"row": 0, "mark": "label", "label": "gender", "value": "x"}],
            "The gender must be one of female, male",
        ),
        ([{"row": 0, "mark": "label", "label": "age", "value": "1e99"}], "The age must be a number of years"),
    ],
)
def test_what_is_no_mark_is_refused_and_nothing_is_written(request_, page, marks, said):
    answer = request_("marks.json", "POST", body={"version": "", "marks": [GOOD, *marks]})
    assert answer.status == 400
    assert said in answer.text
    assert not page.marks.path.exists()


def test_what_is_no_list_of_marks_is_refused(request_, page):
    bodies = (
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"version": 1, "marks": []}',
        b'{"version": "", "marks": {}}',
        b"[" * 100_000,
    )
    for body in bodies:
        assert request_("marks.json", "POST", body=body).status == 400, body[:20]
    assert request_("marks.json", "POST", body=b"a=b", Content_Type="text/plain").status == 415
    assert request_("marks.json", "POST", body=b"{}", Content_Length="999999999").status == 413
    assert request_("faces.json", "POST", body={}).status == 404
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE"):
        assert request_("marks.json", method).status == 501
    assert not page.marks.path.exists()


def test_a_request_that_is_none_ends_its_connection_only(request_, server):
    for sent in (
        b"\x16\x03\x01\x02\x00\x01\n\n",
        b"GET /\xff/ HTTP/1.1\r\nHost: \xff\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(10_000)
            assert not answer.startswith(b"HTTP/1.1 2")
            assert server.token.encode() not in answer
    assert request_("").status == 200


def test_one_connection_serves_several_requests(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for place in ("", "marks.json", "nothing", "faces.json"):
        connection.request("GET", f"/{server.token}/{place}")
        answer = connection.getresponse()
        body = answer.read()
        assert len(body) == int(answer.headers["Content-Length"])
    assert len(json.loads(body)["rows"]) == 60
    connection.close()


def test_a_port_that_is_in_use_is_one_line(page, server):
    with pytest.raises(WorkspaceError, match=f"Cannot listen on port {server.port}: Address already in use"):
        Server(page, server.port)
