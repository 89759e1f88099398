from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.corpus import Block, SourceFile, chunk
from r2ag.corpus.chunking import LEAST_TOKENS
from r2ag.corpus.text import parse_markdown, parse_text

SENTENCE = "The river Vltava rose by 3.14 metres, as www.example.com says."


def source(*blocks: Block, title: str = "Bees") -> SourceFile:
    return SourceFile(Path("a.txt"), "a.txt", "", 0.0, 0, title, blocks)


def words(text: str) -> int:
    return len(text.split())


def letters(text: str) -> str:
    return "".join(text.split())


def test_paragraphs_stay_whole_where_they_fit_and_know_their_lines():
    paragraphs = [" ".join([f"word{number}"] * 50) for number in range(5)]
    file = source(*parse_text("\n\n".join(paragraphs)).blocks)
    found = [(passage.text, passage.place) for passage in chunk(file, words, 120)]
    assert found == [
        ("\n".join(paragraphs[:2]), "lines 1-3"),
        ("\n".join(paragraphs[2:4]), "lines 5-7"),
        (paragraphs[4], "line 9"),
    ]


def test_a_long_paragraph_is_cut_between_sentences():
    passages = chunk(source(Block(" ".join([SENTENCE] * 48), "", "")), words, 122)
    assert [passage.text for passage in passages] == [" ".join([SENTENCE] * 12)] * 4


def test_a_sentence_without_end_is_cut_between_words():
    text = " ".join(f"word{number}" for number in range(301))
    passages = chunk(source(Block(text, "", "")), words, 122)
    assert [words(passage.text) for passage in passages] == [120, 120, 61]


@pytest.mark.parametrize("sentence", ["蜜蜂用舞蹈告诉同伴花在哪里。", "橋は一四七一年に建てられた！"])
def test_chinese_and_japanese_are_cut_between_sentences(sentence):
    passages = chunk(source(Block(sentence * 200, "", "")), len, 100)
    assert {passage.text.count(sentence) * len(sentence) == len(passage.text) for passage in passages} == {True}
    assert max(len(passage.text) for passage in passages) > 60


def test_passages_end_with_their_section_and_their_page():
    sections = chunk(
        source(*parse_markdown("# Bees\nHum.\n## Dance\nRound.\n## Wax\nWarm.\n\nSoft.").blocks), words, 100
    )
    assert [(passage.text, passage.title, passage.section, passage.place) for passage in sections] == [
        ("Hum.", "Bees", "Bees", "line 2"),
        ("Round.", "Bees > Dance", "Bees > Dance", "line 4"),
        ("Warm.\nSoft.", "Bees > Wax", "Bees > Wax", "lines 6-8"),
    ]
    pages = chunk(
        source(*(Block(text, "", f"page {page}") for text, page in [("a", 1), ("b", 1), ("c", 2)])), words, 100
    )
    assert [(passage.text, passage.place) for passage in pages] == [("a\nb", "page 1"), ("c", "page 2")]
    assert {passage.source for passage in pages} == {"a.txt"}


def test_the_title_names_the_file_and_the_headings_and_stays_short():
    def title(title: str, section: str, max_tokens: int = 80) -> str:
        return chunk(source(Block("x", section, ""), title=title), words, max_tokens)[0].title

    assert title("Bees", "") == "Bees"
    assert title("Bees – a guide", "Bees > Wax") == "Bees – a guide > Wax"
    assert title("guide", "Bees > Wax") == "guide > Bees > Wax"
    assert title("guide " * 19, "Bees > Wax") == "Wax"
    assert title("guide " * 30, "") == ("guide " * 20).strip()


def test_a_run_of_letters_without_end_is_cut_though_it_may_count_as_one_token():
    passages = chunk(source(Block("x" * 100_000, "", "")), words, 100)
    assert "".join(passage.text for passage in passages) == "x" * 100_000
    assert max(len(passage.text) for passage in passages) <= 800


def test_too_small_passages_are_refused():
    with pytest.raises(ValueError, match="max_tokens"):
        chunk(source(Block("x", "", "")), words, LEAST_TOKENS - 1)


texts = st.text(st.sampled_from("ab .,。！\n\t-'") | st.characters(codec="utf-8"), max_size=600)
blocks = st.lists(st.builds(Block, texts, st.sampled_from(["", "A", "A > B"]), st.sampled_from(["", "page 1"])))


@given(blocks, st.integers(LEAST_TOKENS, 100), st.sampled_from([len, words, lambda text: len(text.encode())]))
def test_nothing_is_lost_and_passages_are_no_longer_than_asked(blocks, max_tokens, count_tokens):
    passages = chunk(source(*blocks), count_tokens, max_tokens)
    assert letters("".join(passage.text for passage in passages)) == letters("".join(block.text for block in blocks))
    assert all(passage.text.strip() for passage in passages)
    assert all(count_tokens(passage.passage) <= max_tokens for passage in passages)


@pytest.mark.parametrize(
    "text",
    [
        "A sentence of some words. " * 8000,
        "x" * 200_000,
        "\n".join("\n" * (number % 600) + "row" for number in range(700)),
        "，" * 200_000,
        "a. " * 70_000,
    ],
)
def test_the_counted_text_grows_no_faster_than_the_text(text):
    def counted(text: str) -> int:
        total = 0

        def count(part: str) -> int:
            nonlocal total
            total += len(part)
            return words(part)

        chunk(source(Block(text, "", "")), count, 200)
        return total

    assert counted(text) < 3 * counted(text[: len(text) // 2])


def test_a_long_text_takes_seconds():
    file = source(*parse_text((SENTENCE * 20 + "\n\n") * 800).blocks)
    started = time.process_time()
    assert len(chunk(file, words, 200)) == 800
    assert time.process_time() - started < 20
