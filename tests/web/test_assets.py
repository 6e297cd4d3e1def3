"""The built files: these, and no others."""

import json

import pytest
from django.test import Client

from hub.web import assets
from hub.web.assets import Asset, Entry


@pytest.fixture
def dist(tmp_path):
    """A built page."""
    manifest = {
        "src/main.tsx": {"file": "main-1a.js", "css": ["main-2b.css"], "imports": ["_shared.js"], "isEntry": True},
        "_shared.js": {"file": "shared-3c.js", "css": ["shared-4d.css"]},
        "src/login.css": {"file": "login-5e.css", "isEntry": True},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "main-1a.js").write_text("main")
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "a.woff2").write_bytes(b"font")
    (tmp_path / "strange.zzz").write_bytes(b"?")
    (tmp_path / "incidents.html").write_text("<h1>Notes</h1>")
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "hubsocket.js").write_text("client")
    (tmp_path.parent / "secret").write_text("secret")
    return tmp_path


def test_an_entry_is_its_script_with_all_styles(dist):
    assert assets.entry("src/main.tsx", dist) == Entry("main-1a.js", ("main-2b.css", "shared-4d.css"))
    assert assets.entry("src/login.css", dist) == Entry(None, ("login-5e.css",))
    assert assets.entry("src/other.tsx", dist) is None


def test_the_notes_are_a_part_of_a_page(dist):
    assert "<h1>Notes</h1>" == assets.incidents(dist)


def test_nothing_was_built(tmp_path):
    assert assets.incidents(tmp_path / "dist") is None
    assert assets.entry("src/main.tsx", tmp_path / "dist") is None
    assert assets.asset("main.js", tmp_path / "dist") is None


def test_files_have_their_types(dist):
    assert assets.asset("main-1a.js", dist) == Asset(b"main", "text/javascript")
    assert assets.asset("fonts/a.woff2", dist) == Asset(b"font", "font/woff2")
    assert assets.asset("strange.zzz", dist).content_type == "application/octet-stream"


@pytest.mark.parametrize(
    "name",
    [
        "client/hubsocket.js", "manifest.json", "../secret", "fonts/../main-1a.js", "fonts", "", "/main-1a.js",
        "main-1a.js/", "\x00", "incidents.html",
    ],
)  # fmt: skip
def test_there_are_no_other_files(dist, name):
    assert assets.asset(name, dist) is None


def test_a_file_is_kept_for_ever_and_its_type_is_believed():
    name = assets.entry("src/main.tsx").script
    answer = Client().get(f"/assets/{name}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/javascript"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert Client().head(f"/assets/{name}").status_code == 200
    assert Client().post(f"/assets/{name}").status_code == 405


@pytest.mark.parametrize(
    "name",
    [
        "../views.py", "..%2fviews.py", "%2e%2e/views.py", "..%5cviews.py", "....//views.py", "manifest.json",
        "/etc/passwd", "%2fetc%2fpasswd", "main.js%00.css", "",
    ],
)  # fmt: skip
def test_no_way_out_of_the_folder(name):
    assert Client().get(f"/assets/{name}").status_code == 404


# --- the client library ---


def test_the_library_is_apart_from_the_page(dist):
    assert assets.client_file("hubsocket.js", dist) == Asset(b"client", "text/javascript")
    assert assets.client_file("main-1a.js", dist) is None
    assert assets.client_file("../main-1a.js", dist) is None


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("hubsocket.js", "text/javascript"), ("hubsocket.d.ts", "text/plain"),
        ("hubsocket.js.map", "application/json"),
    ],
)  # fmt: skip
def test_everybody_may_load_the_library_and_asks_again_soon(name, content_type):
    answer = Client().get(f"/client/{name}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Cookie" not in answer.headers.get("Vary", "")
    again = Client().get(f"/client/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert again.headers["Access-Control-Allow-Origin"] == "*"
    assert Client().get(f"/client/{name}", headers={"If-None-Match": '"another"'}).status_code == 200
    assert Client().post(f"/client/{name}").status_code == 405


def test_the_library_is_there_while_the_hub_is_switched_off(configure):
    configure(ENABLED=False)
    assert Client().get("/client/hubsocket.js").status_code == 200
    assert Client().get("/login/").status_code == 404


@pytest.mark.parametrize("name", ["main.js", "..%2fmanifest.json", "../manifest.json", "hubsocket.js/", ""])
def test_there_is_nothing_else_beside_the_library(name):
    assert Client().get(f"/client/{name}").status_code == 404
