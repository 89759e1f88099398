from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.cli.answers import print_documents, short_sources
from r2ag.cli.checks import check_output
from r2ag.cli.output import clean, in_words, print_facts, print_json
from r2ag.errors import InputError
from r2ag.types import Answer, Document, ScoredDocument


@given(st.text(st.characters()))
def test_clean_text_gives_a_terminal_no_orders(text: str) -> None:
    shown = clean(text)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in shown)
    assert clean(shown) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "[31mred"),
        ("a\nb\tc\r", "a b c "),
        ("user\u202efdp.exe", "userfdp.exe"),
        ("שלום 蜜蜂 [bold]", "שלום 蜜蜂 [bold]"),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_line_breaks_stay_where_they_are_wanted() -> None:
    assert clean("a\nb\x1b", lines=True) == "a\nb"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_json_survives_every_encoding(encoding: str) -> None:
    value = {"text": "蜜蜂 \ud83d \x1b é"}
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace")
    print_json(value, stream)
    stream.flush()
    assert json.loads(raw.getvalue().decode(encoding)) == value


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    documents = tuple(
        ScoredDocument(
            rank,
            Document("text", title="[red]蜜蜂\x1b[2J " * 20, source=f"notes/part/{rank}-{'long ' * 20}.md"),
            {"relevance": -0.12345, "precedent": 0.5, "neighbour": 1.0},
            0.999,
            used=True,
        )
        for rank in range(1, 13)
    )
    stream = io.StringIO()
    print_documents(Answer("q", "a", documents, citations=(2,)), stream)
    from rich.cells import cell_len

    lines = stream.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width
    assert len(lines) == 2 + 12 + 2
    assert "\x1b" not in stream.getvalue()


def test_sources_are_shown_without_their_common_folder() -> None:
    def shown(*sources: str) -> list[str]:
        return short_sources([ScoredDocument(1, Document("t", source=s), {}, 0.5, True) for s in sources])

    assert shown("/a/b/c.md", "/a/d/c.md") == [str(Path("b/c.md")), str(Path("d/c.md"))]
    assert shown("notes/a.md", "notes/a.md") == ["a.md", "a.md"]


def test_facts_are_plain_text() -> None:
    stream = io.StringIO()
    print_facts(stream, ("name", "[bold]\x1b value"))
    assert stream.getvalue().split() == ["name", "[bold]", "value"]


@pytest.mark.parametrize(("seconds", "words"), [(3.2, "3 s"), (100, "2 min"), (3900, "65 min"), (7500, "2 h 5 min")])
def test_durations(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_what_may_be_an_output_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_output(Path("new/deep"), "marker") == tmp_path / "new" / "deep"
    assert check_output(Path(), "marker") == tmp_path, "an empty folder"
    (tmp_path / "marker").touch()
    assert check_output(Path(), "marker") == tmp_path
    (tmp_path / "marker").rename(tmp_path / "other")
    for wrong in (Path(), Path("other"), Path("other/below")):
        with pytest.raises(InputError, match="--output"):
            check_output(wrong, "marker")


def test_the_home_of_an_unknown_user_is_no_output_folder() -> None:
    with pytest.raises(InputError, match=r"~nobody-of-that-name/out names the home of a user that is not known"):
        check_output(Path("~nobody-of-that-name/out"), "marker")
