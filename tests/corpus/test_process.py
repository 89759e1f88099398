"""What a parser may do at worst, done by a parser: each time only its file is lost."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from r2ag.corpus.blocks import UnreadableError
from r2ag.corpus.process import ParserProcess
from tests.corpus.conftest import word

PAGE = b"<title>Bees</title><h1>Dance</h1><p>In the dark."


@pytest.fixture
def parser():
    parser = ParserProcess()
    yield parser
    parser.close()


@pytest.fixture
def parser_that(tmp_path, monkeypatch):
    """A parser whose PDF library is a module with this code."""

    def make(code: str, max_seconds: int = 60) -> ParserProcess:
        (tmp_path / "pypdf.py").write_text(f"PasswordType = None\ndef PdfReader(stream):\n    {code}\n")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
        return ParserProcess(max_seconds)

    return make


def process_id(parser: ParserProcess) -> int:
    assert parser._process is not None
    return parser._process.pid


def test_one_process_parses_many_files(parser):
    contents = parser.parse(PAGE, ".html")
    assert (contents.title, contents.blocks[0].text, contents.blocks[0].section) == ("Bees", "In the dark.", "Dance")
    first = process_id(parser)
    for _ in range(20):
        parser.parse(PAGE, ".html")
        parser.parse(word(("Normal", "Text.")), ".docx")
        with pytest.raises(UnreadableError, match=r"is broken, or no \.pdf file"):
            parser.parse(b"no such thing", ".pdf")
    assert process_id(parser) == first


@pytest.mark.parametrize(
    "code",
    ["import os; os._exit(1)", "import os; os.kill(os.getpid(), 11)", "x = b'x' * 10**10", "raise MemoryError"],
)
def test_a_parser_that_dies_or_eats_memory(parser_that, code):
    parser = parser_that(code)
    parser.parse(PAGE, ".html")
    with pytest.raises(UnreadableError, match="the parser ended, or needed more than 2 GB"):
        parser.parse(b"any", ".pdf")
    assert parser.parse(PAGE, ".html").title == "Bees"
    parser.close()


@pytest.mark.parametrize("code", ["import time; time.sleep(60)", "while True: pass"])
def test_a_parser_that_hangs(parser_that, monkeypatch, code):
    monkeypatch.setattr("r2ag.corpus.process.WAITING", 2 if "sleep" in code else 1000)
    parser = parser_that(code, max_seconds=2)
    parser.parse(PAGE, ".html")
    started = time.perf_counter()
    with pytest.raises(UnreadableError, match="takes longer than 2 s"):
        parser.parse(b"any", ".pdf")
    assert time.perf_counter() - started < 60
    assert parser.parse(PAGE, ".html").title == "Bees"
    parser.close()


def test_a_parser_that_hangs_is_stopped_by_another_thread(parser_that):
    parser = parser_that("while True: pass")
    stop = threading.Timer(1, parser.stop)
    stop.start()
    begin = time.monotonic()
    with pytest.raises(UnreadableError, match="was stopped"):
        parser.parse(b"%PDF-", ".pdf")
    assert time.monotonic() - begin < 30
    stop.join()
    with pytest.raises(UnreadableError, match="was stopped"):
        parser.parse(PAGE, ".html")
    parser.close()


def test_a_parser_that_prints_and_one_that_writes_without_end(parser_that, monkeypatch):
    parser = parser_that("print('x' * 100_000); import os; os.write(1, b'y'); raise ValueError")
    with pytest.raises(UnreadableError, match="ValueError"):
        parser.parse(b"any", ".pdf")
    monkeypatch.setattr("r2ag.corpus.process.MAX_REPLY_BYTES", 1000)
    with pytest.raises(UnreadableError, match="MB of text"):
        parser.parse(b"<p>" + b"x" * 2000, ".html")
    assert parser.parse(PAGE, ".html").title == "Bees"
    parser.close()


def test_an_innocent_file_is_parsed_though_the_process_was_killed(parser):
    parser.parse(PAGE, ".html")
    os.kill(process_id(parser), 9)
    assert parser.parse(PAGE, ".html").title == "Bees"


def test_no_module_of_the_current_folder_is_loaded(parser, tmp_path, monkeypatch):
    (tmp_path / "lxml.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    assert parser.parse(PAGE, ".html").title == "Bees"


def test_no_process_stays_behind(parser):
    parser.parse(PAGE, ".html")
    ended = process_id(parser)
    parser.close()
    assert not Path(f"/proc/{ended}").exists()
