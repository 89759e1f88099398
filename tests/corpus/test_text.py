from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from r2ag.corpus.blocks import Block, Contents
from r2ag.corpus.text import parse_markdown, parse_text


def blocks(contents: Contents) -> list[tuple[str, str, str]]:
    return [(block.text, block.section, block.place) for block in contents.blocks]


def test_wrapped_lines_are_joined_and_paragraphs_know_their_lines():
    contents = parse_text("Bees dance.\r\n\n# No heading\nThey  dance\tin\nthe dark.\n\n\nEnd.")
    assert contents.title == ""
    assert contents.blocks == (
        Block("Bees dance.", "", "line 1", (1, 1)),
        Block("# No heading They dance in the dark.", "", "lines 3-5", (3, 5)),
        Block("End.", "", "line 8", (8, 8)),
    )


def test_lists_tables_and_indented_lines_stay_lines():
    text = "Wanted:\n- a smoker,\n  well kept\n- a veil\n\n| a | b |\n|---|---|\n\n    x = 1\n    y = 2"
    assert [block.text for block in parse_text(text).blocks] == [
        "Wanted:\n- a smoker, well kept\n- a veil",
        "| a | b |\n|---|---|",
        "    x = 1\n    y = 2",
    ]


def test_chinese_lines_are_joined_without_a_space():
    assert parse_text("蜜蜂用舞蹈\n告诉同伴").blocks[0].text == "蜜蜂用舞蹈告诉同伴"


def test_headings_are_the_sections_of_what_is_below_them():
    contents = parse_markdown(
        "Foreword.\n\n# Bees ##\nThey dance.\n#hashtag\n\n## Wax\n\n### Comb\nSix sides.\n\nHoney\n-----\nSweet.\n"
    )
    assert contents.title == "Bees"
    assert blocks(contents) == [
        ("Foreword.", "", "line 1"),
        ("They dance. #hashtag", "Bees", "lines 4-5"),
        ("Six sides.", "Bees > Wax > Comb", "line 10"),
        ("Sweet.", "Bees > Honey", "line 14"),
    ]


def test_a_file_with_several_headings_of_level_one_has_no_title():
    assert parse_markdown("# Bees\nDance.\n# Ants\nMarch.").title == ""


def test_headings_over_nothing_and_endless_ones_are_text():
    endless = ("long " * 100).strip()
    assert blocks(parse_markdown(f"# To do\n## Feed the bees\n## Paint\n# {endless}\n# Done")) == [
        ("Feed the bees", "To do", "line 2"),
        (endless, "To do > Paint", "line 4"),
        ("Done", "", "line 5"),
    ]


def test_code_between_fences_is_one_block_and_has_no_headings():
    code = "```sh\n# no heading\n\n~~~\nmake\n```"
    contents = parse_markdown(f"# Build\n{code}\nDone.")
    assert blocks(contents) == [(code, "Build", "lines 2-7"), ("Done.", "Build", "line 8")]
    assert blocks(parse_markdown("~~~\nnever closed\n\n# x")) == [("~~~\nnever closed\n\n# x", "", "lines 1-4")]


@given(st.text(st.sampled_from("ab #-=`~|>\n\r\t\0") | st.characters(codec="utf-8")))
def test_no_character_is_lost(text):
    def letters(text: str) -> str:
        return "".join(character for character in text if character not in "#=-" and not character.isspace())

    assert letters("".join(block.text for block in parse_text(text).blocks)) == letters(text)
    found = parse_markdown(text).blocks
    held = letters("".join(block.section + block.text for block in found))
    assert Counter(letters(text)) <= Counter(held)
