from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from r2ag.errors import InputError
from r2ag.evaluation.attention import AttentionMap
from r2ag.evaluation.page import render
from r2ag.evaluation.page.plots import heat_map, interval_plot, token_plot
from r2ag.evaluation.run import run_evaluation
from r2ag.evaluation.stored import Results, read_results, read_stored
from r2ag.records import write_records
from r2ag.types import Document, Record
from tests.evaluation.conftest import Parts

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;<!-- \u2028 ]]>"


@pytest.fixture
def folder(parts: Parts, tmp_path: Path) -> Path:
    """Results of two methods on three records, one of them hostile in all its parts."""
    documents = tuple(Document(f"The bridge {i} fell. {HOSTILE}", f"{HOSTILE} {i}", relevant=i == 1) for i in range(3))
    records = [
        Record("7", "Which bridge fell?", ("bridge",), documents),
        Record(f"{HOSTILE}", f"Which {HOSTILE}?", (HOSTILE,), documents),
        Record("9", "Which?", ("town",), documents[:2]),
    ]
    write_records(records, tmp_path / "some.jsonl")
    output = tmp_path / "figures"
    run_evaluation(
        [tmp_path / "some.jsonl"], ["rag", "r2ag"], parts.reader(), parts.encoder, output=output, max_new_tokens=2
    )
    return output


class Tags(HTMLParser):
    """Collects elements, and the text of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, text: str) -> None:
        if self.names and self.names[-1] == "script" and text.strip():
            self.scripts.append(text)


def only_our_pictures(found: Tags) -> bool:
    """Whether each image, and each address, is a picture that stands in the page."""
    sources = [value for name, value in found.attributes if name == "src"]
    inside = [value for value in sources if value and value.startswith("data:image/svg+xml;base64,")]
    return len(sources) == len(inside) == found.names.count("img")


def test_what_was_read_is_stored_with_each_methods_answer(parts: Parts, folder: Path) -> None:
    first = read_stored(folder)[0]
    assert (first.id, first.dataset, first.answers) == ("7", "some", ("bridge",))
    assert list(first.predictions) == ["rag", "r2ag"]
    assert {document.relevant for document in first.documents} == {True, False}
    ranked = parts.encoder.rank("Which bridge fell?", [Document(d.text, d.title) for d in first.documents])
    assert [d.text for d in ranked.documents] == [d.text for d in first.documents]
    assessment = parts.reader().assess([ranked])
    assert [d.relevance_probability for d in first.documents] == pytest.approx(assessment.probabilities[0], abs=1e-5)
    assert first.documents[2].features["neighbour"] == pytest.approx(float(assessment.features[0, 2, 2]), abs=1e-5)
    lines = (folder / "predictions-rag.jsonl").read_text().splitlines()
    assert first.predictions["rag"].text == json.loads(lines[0])["text"]


def test_hostile_text_stays_text(folder: Path) -> None:
    page = render(read_results(folder), HOSTILE)
    found = Tags(page)
    assert only_our_pictures(found)
    assert found.names.count("script") == 2
    data = json.loads(found.scripts[0])
    assert data["records"][1]["question"] == f"Which {HOSTILE}?"
    assert data["methods"] == ["rag", "r2ag"]
    assert {p["right"] for record in data["records"] for p in record["predictions"].values()} <= {True, False}


def test_nothing_is_loaded_from_anywhere(folder: Path) -> None:
    page = render(read_results(folder), "figures")
    found = Tags(page)
    assert "href" not in dict(found.attributes)
    assert only_our_pictures(found)
    assert not re.search(r"https?://|url\(|@import", page)
    policy = next(value for name, value in found.attributes if name == "content" and value and "default-src" in value)
    assert policy.startswith("default-src 'none'")
    assert not [name for name, _ in found.attributes if name.startswith("on")]


def test_the_pages_script_is_the_one_that_its_policy_allows(folder: Path) -> None:
    page = render(read_results(folder), "figures")
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page


def test_tables_show_figures_with_intervals(folder: Path) -> None:
    results = read_results(folder)
    page = render(results, "figures")
    acc = results.figures["methods"]["r2ag"]
    assert f"<td>{acc['acc']:.3f} [{acc['acc_ci95'][0]:.3f}, {acc['acc_ci95'][1]:.3f}]</td>" in page
    assert "r2ag vs rag" in page
    assert page.count("<img") == 3


def test_approximations_are_named(folder: Path) -> None:
    results = read_results(folder)
    assert "Not quite" not in render(results, "x")
    figures = {**results.figures, "methods": {"crag=model": results.figures["methods"]["rag"]}}
    assert "<li>crag: graded by" in render(Results(figures, results.records), "x")


def drawn(picture: str) -> ElementTree.Element:
    """The SVG of a picture that stands in a page."""
    (source,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', picture)
    return ElementTree.fromstring(base64.b64decode(source))


def words_of(picture: str) -> list[str]:
    return ["".join(text.itertext()) for text in drawn(picture).iter("{http://www.w3.org/2000/svg}text")]


def test_plots_are_whole_svg_with_names_as_text() -> None:
    methods = {
        f"method <{number}> $x$": {
            "acc": 0.1 * number,
            "acc_ci95": [0.0, 0.15 * number],
            "f1": 0.2,
            "f1_ci95": [0.1, 0.3],
            "prompt_tokens_mean": 900.0,
        }
        for number in range(12)
    }
    for plot in (interval_plot(methods, "acc", "Acc"), interval_plot(methods, "f1", "F1"), token_plot(methods)):
        assert [word for word in words_of(plot) if word in methods] == list(methods)
        assert "script" not in {element.tag.rpartition("}")[2] for element in drawn(plot).iter()}
    assert interval_plot(methods, "acc", "Acc") == interval_plot(methods, "acc", "Acc")
    cells = words_of(heat_map([[0.1, 0.4], [0.0, 0.2]], "to anchors", [True, False]))
    assert {"1★", "2", "to anchors"} <= set(cells)


def test_nothing_measured_can_be_drawn() -> None:
    nothing = {"rag": {"acc": 0.0, "acc_ci95": [0.0, 0.0], "prompt_tokens_mean": 0.0}}
    assert "rag" in words_of(interval_plot(nothing, "acc", "Acc"))
    assert "rag" in words_of(token_plot(nothing))


def test_the_attention_panel(folder: Path) -> None:
    shown = AttentionMap("7", HOSTILE, (True, False), ((0.1, 0.2),), ((0.3, 0.4),), HOSTILE, HOSTILE)
    page = render(read_results(folder), "figures", shown)
    assert page.count("<img") == 5
    assert only_our_pictures(Tags(page))


def test_figures_from_elsewhere_are_text_too(folder: Path) -> None:
    results = read_results(folder)
    page = render(Results({**results.figures, "records": HOSTILE}, results.records), "figures")
    assert only_our_pictures(Tags(page))


def test_folders_that_hold_no_results(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no results\.json; make one with: r2ag eval"):
        read_results(tmp_path)
    (folder / "predictions-r2ag.jsonl").unlink()
    with pytest.raises(InputError, match="don't go together"):
        read_results(folder)
    (folder / "records.jsonl").unlink()
    with pytest.raises(InputError, match=r"holds no records\.jsonl.* are not asked for anew"):
        read_results(folder)
    for damage in ("{", "[]", '{"methods": 1}', "{}"):
        (folder / "results.json").write_text(damage)
        with pytest.raises(InputError):
            render(read_results(folder), "x")


def test_figures_that_lack_something_are_refused(folder: Path) -> None:
    results = read_results(folder)
    with pytest.raises(InputError, match="lacks figures"):
        render(Results({**results.figures, "methods": {"rag": {}}}, results.records), "x")
    assert replace(results, records=[]).records == []
