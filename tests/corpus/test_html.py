from __future__ import annotations

from r2ag.corpus.html import declared_encoding, parse_html

PAGE = """<!DOCTYPE html><html><head><title>Bees &amp; wax</title><style>p { color: red }</style></head><body>
<script>alert("no text")</script><h1>Bees</h1><p>They <b>dan</b>ce<br>in the <a href="x">dark</a>.</p>tail
<h2>Tools</h2><ul><li>smoker<li><p>veil</p></ul><!-- hidden --><template>no</template>
<table><tr><th>Year<th>Hives</tr><tr><td>1908<td>12</tr></table><pre>a
  b</pre><h2>Only a heading</h2></body></html>"""


def test_headings_paragraphs_lists_tables_and_code():
    contents = parse_html(PAGE)
    assert contents.title == "Bees & wax"
    assert [(block.section, block.text) for block in contents.blocks] == [
        ("Bees", "They dance\nin the dark."),
        ("Bees", "tail"),
        ("Bees > Tools", "- smoker"),
        ("Bees > Tools", "- veil"),
        ("Bees > Tools", "Year | Hives"),
        ("Bees > Tools", "1908 | 12"),
        ("Bees > Tools", "a\n  b"),
        ("Bees", "Only a heading"),
    ]


def test_a_page_laid_out_in_tables_has_paragraphs():
    contents = parse_html("<table><tr><td><p>One.</p><p>Two.</p></td><td>Menu</td></tr></table>")
    assert [block.text for block in contents.blocks] == ["One.", "Two.", "Menu"]


def test_text_without_any_tag_and_broken_tags():
    assert [block.text for block in parse_html("just text").blocks] == ["just text"]
    assert [block.text for block in parse_html("<p>a<div>b</p></b> &bogus; c").blocks] == ["a", "b &bogus; c"]


def test_the_declared_encoding():
    assert declared_encoding(b'<html><meta charset="windows-1250">') == "windows-1250"
    assert declared_encoding(b'<meta content="text/html; charset=Shift_JIS">') == "Shift_JIS"
    assert declared_encoding(b"<p>charset") == ""
