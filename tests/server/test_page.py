"""The page's files over HTTP; tests/server/page shows them in a browser."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from tests.server.conftest import Running

FOLDER = files("r2ag.server") / "page"
NAMES = sorted(file.name for file in FOLDER.iterdir())


def test_the_page_and_all_that_it_names_are_there(server: Running) -> None:
    http = server.http()
    assert http.get("/").text == (FOLDER / "index.html").read_text()
    named = re.findall(r'(?:href|src)="(/page/[^"]+)"', http.get("/").text)
    modules = [name for name in NAMES if name.endswith(".js")]
    imported = [name for module in modules for name in re.findall(r'from "\./([^"]+)"', (FOLDER / module).read_text())]
    assert {path.removeprefix("/page/") for path in named} | set(imported) | {"index.html"} == set(NAMES)
    assert [http.get(path).status_code for path in named] == [200] * len(named)


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/page/base.css"])
def test_nothing_comes_from_elsewhere_and_no_text_becomes_markup(server: Running, path: str) -> None:
    headers = server.http().get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", NAMES)
def test_no_file_writes_markup_or_names_another_place(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\sstyle=|\son\w+=", text)
    assert re.findall(r"https?://[^\"]+", text) in ([], ["http://www.w3.org/2000/svg"])


@pytest.mark.parametrize("path", ["/page/", "/page/../app.py", "/page/%2e%2e/app.py", "/page/missing.js", "/page"])
def test_there_are_no_other_files(server: Running, path: str) -> None:
    assert server.http().get(path).status_code == 404
