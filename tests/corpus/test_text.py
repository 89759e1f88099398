from __future__ import annotations

import re
from pathlib import Path

import pytest

from r2ag.corpus import read_documents
from r2ag.corpus.text import MAX_FILE_BYTES, PASSAGE_WORDS
from r2ag.errors import InputError
from r2ag.types import Document

SENTENCE = "The river Vltava rose by 3.14 metres, as www.example.com says."


@pytest.fixture
def write(tmp_path):
    def write(name: str, content: str | bytes) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


def texts(file: Path) -> list[str]:
    return [document.text for document in read_documents([file])]


def test_a_short_text_is_one_passage(write):
    file = write("notes.txt", "Bees dance.\n\n# No heading in a text file\nThey  dance\tin the dark.\n")
    text = "Bees dance. # No heading in a text file They dance in the dark."
    assert read_documents([file]) == [Document(text, title="notes", source=str(file))]


def test_sections_of_a_markdown_file_have_their_headings_as_titles(write):
    file = write("bees.md", "Foreword.\n\n# Dance ##\nThey dance.\n#hashtag\n\n## Empty\n\n### Wax\nThey build.\n")
    sections = [(document.title, document.text) for document in read_documents([file])]
    assert sections == [("bees", "Foreword."), ("Dance", "They dance. #hashtag"), ("Wax", "They build.")]


def test_paragraphs_stay_whole_where_they_fit(write):
    paragraphs = [" ".join([f"word{number}"] * 50) for number in range(5)]
    passages = texts(write("notes.txt", "\n\n".join(paragraphs)))
    assert passages == [" ".join(paragraphs[:2]), " ".join(paragraphs[2:4]), paragraphs[4]]


def test_a_long_paragraph_is_split_between_sentences(write):
    passages = texts(write("notes.txt", " ".join([SENTENCE] * 48)))
    per_passage = PASSAGE_WORDS // len(SENTENCE.split())
    assert passages == [" ".join([SENTENCE] * per_passage)] * (48 // per_passage)


def test_a_sentence_without_end_is_split_between_words(write):
    words = [f"word{number}" for number in range(301)]
    passages = texts(write("notes.txt", "\n".join(words)))
    assert [len(passage.split()) for passage in passages] == [120, 120, 61]
    assert " ".join(passages).split() == words


@pytest.mark.parametrize("sentence", ["蜜蜂用舞蹈告诉同伴花在哪里。", "橋は一四七一年に建てられた", "هل الجسر قديم؟ "])
def test_texts_in_other_scripts_are_split_too(write, sentence):
    passages = texts(write("notes.txt", sentence * 200))
    assert re.sub(r"\s", "", "".join(passages)) == re.sub(r"\s", "", sentence * 200)
    assert len(passages) > 3
    assert max(map(len, passages)) <= 7 * PASSAGE_WORDS


def test_folders_are_read_in_the_order_of_names(write, tmp_path):
    for name in ("b.md", "a.txt", "deep/c.MARKDOWN", "picture.png", "notes.md.bak"):
        write(name, f"In {name}.")
    write("empty.txt", "")
    assert [Path(document.source).name for document in read_documents([tmp_path])] == ["a.txt", "b.md", "c.MARKDOWN"]
    named = [tmp_path / "b.md", tmp_path / "a.txt"]
    assert [document.text for document in read_documents(named)] == ["In b.md.", "In a.txt."]


def test_a_byte_order_mark_and_broken_bytes_do_no_harm(write):
    assert texts(write("notes.txt", b"\xef\xbb\xbfCaf\xe9 by the bridge")) == ["Caf\ufffd by the bridge"]


def test_what_holds_no_text_is_refused_by_name(write, tmp_path):
    binary = write("model.txt", b"GGUF\0\0\1")
    empty = write("empty/empty.txt", " \n\n ")
    bare = tmp_path / "bare"
    bare.mkdir()
    for path, reason in [
        (tmp_path / "gone.txt", "There is no file or folder"),
        (bare, "holds no document"),
        (binary, "is not a text file"),
        (empty, "no text in it"),
        (empty.parent, "no text in it"),
    ]:
        with pytest.raises(InputError, match=reason) as refusal:
            read_documents([path])
        assert str(path) in str(refusal.value)


def test_a_huge_file_is_refused_unread(tmp_path):
    file = tmp_path / "huge.txt"
    with file.open("wb") as content:
        content.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(InputError, match=r"huge\.txt is larger than 50 MB"):
        read_documents([file])
