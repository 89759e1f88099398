from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from r2ag.engines.chat_api import ChatAPI, Completion, as_text
from r2ag.method.prompting import PromptTemplate
from r2ag.records.make import ANSWERING, ASKING, LocalWriter, Made, as_records, make_question, make_questions
from r2ag.types import Document
from tests.api_server import chat_server
from tests.tiny import tiny_llm, tiny_tokenizer

PASSAGE = Document("It fell in 1802, and Anna Meyer built it again.", "The old bridge")


@dataclass
class Scripted:
    """Writes what it is told: a question, an answer from the passage, an answer without it."""

    asked: str = "Who built the old bridge again?\nAnswer: Anna Meyer."
    answered: str = "It was Anna Meyer"
    known: str = "a mason"
    name: str = "scripted"
    prompts: list[tuple[PromptTemplate, int]] = field(default_factory=list)

    def answer(
        self, template: PromptTemplate, question: str, documents: Sequence[Document], max_new_tokens: int
    ) -> Completion:
        self.prompts.append((template, len(documents)))
        if template is ASKING:
            return Completion(self.asked)
        assert question == "Who built the old bridge again?"
        return Completion(self.answered if documents else self.known)


def test_what_passes_both_checks_is_kept() -> None:
    writer = Scripted()
    assert make_question(PASSAGE, writer) == Made("Who built the old bridge again?", "Anna Meyer")
    assert writer.prompts == [(ASKING, 1), (ANSWERING, 1), (ANSWERING, 0)]


def test_a_cue_said_again_is_understood() -> None:
    made = make_question(PASSAGE, Scripted("Question: Who built the old bridge again?\n\nAnswer: Anna Meyer"))
    assert made.left_out == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"asked": ""}, "no question"),
        ({"asked": "Who built it?"}, "no question"),
        ({"asked": "A statement.\nAnswer: Anna Meyer"}, "no question"),
        ({"asked": f"{'Who ' * 100}?\nAnswer: Anna Meyer"}, "no question"),
        ({"asked": "Who is named in the text?\nAnswer: Anna Meyer"}, "about the text"),
        ({"asked": "Who built the old bridge again?\nAnswer: Bertha Meyer"}, "no answer of the passage"),
        ({"asked": "Who built the old bridge again?\nAnswer: ?"}, "no answer of the passage"),
        ({"asked": "Was it Anna Meyer?\nAnswer: Anna Meyer"}, "answers itself"),
        ({"answered": "Bertha"}, "not answered from the passage"),
        ({"answered": ""}, "not answered from the passage"),
        ({"known": "I think Anna Meyer"}, "answered without the passage"),
    ],
)
def test_what_fails_a_check_is_left_out(changes: dict[str, str], reason: str) -> None:
    assert make_question(PASSAGE, Scripted(**changes)).left_out == reason


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    passages = [PASSAGE, Document("In 1471 Anna Meyer built it.", "Another bridge")]
    log, calls, writer = tmp_path / "log", [], Scripted()
    make_questions(passages[:1], writer, log)
    log.write_text(log.read_text() + '{"key": "half a li')
    asked = len(writer.prompts)
    made = make_questions(passages, writer, log, lambda *progress: calls.append(progress))
    assert len(writer.prompts) == asked + 3
    assert calls == [("1 questions kept", 1, 2), ("2 questions kept", 2, 2)]
    assert [one.left_out for one in made] == ["", ""]
    assert make_questions(passages, Scripted(name="another", asked=""), log)[0].left_out


def test_a_line_cut_by_a_kill_swallows_no_later_one(tmp_path: Path) -> None:
    log, writer = tmp_path / "log", Scripted()
    log.write_text('{"key": "half a li')
    make_questions([PASSAGE], writer, log)
    make_questions([PASSAGE], writer, log)
    assert len(writer.prompts) == 3


def test_questions_become_records_once() -> None:
    made = [Made("Who?", "Anna"), Made("Who?", "Anna"), Made("Why?", "so", "about the text"), Made("When?", "1802")]
    records = as_records([PASSAGE] * 4, made)
    assert [(record.question, record.answers) for record in records] == [("Who?", ("Anna",)), ("When?", ("1802",))]
    assert all(record.documents[0].relevant and record.documents[0].text == PASSAGE.text for record in records)
    assert len({record.id for record in records}) == 2


def test_a_prompt_in_plain_words() -> None:
    text = as_text(ANSWERING, "Who built it?", [PASSAGE, PASSAGE])
    assert f"\n[1] {PASSAGE.passage}\n\n[2] {PASSAGE.passage}\n" in text
    assert text.endswith("Question: Who built it?\nAnswer:")


def test_a_local_llm_writes_what_the_tokenizer_says_it_reads() -> None:
    tokenizer = tiny_tokenizer("bytes", "chatml")
    writer = LocalWriter(tiny_llm(vocabulary=len(tokenizer)), tokenizer, "tiny")
    short = PromptTemplate("Say: ", "{document}", "", chat=False)
    one = writer.answer(short, "?", [PASSAGE], 4).text
    assert one == writer.answer(short, "?", [PASSAGE], 4).text
    ids = tokenizer(as_text(short, "?", [PASSAGE]), return_tensors="pt")["input_ids"]
    expected = writer.llm.generate(ids, do_sample=False, max_new_tokens=4)[0, ids.shape[1] :]
    assert one == tokenizer.decode(expected, skip_special_tokens=True).strip()


def test_a_server_gets_the_same_words() -> None:
    with chat_server(lambda message: "Answer: Anna Meyer\nand more") as server:
        writer = ChatAPI(server.url, "some-model")
        assert writer.answer(ANSWERING, "Who built it?", [PASSAGE], 9).text == "Anna Meyer"
        (request,) = server.requests
    assert request["messages"][0]["content"] == as_text(ANSWERING, "Who built it?", [PASSAGE])
    assert request["max_tokens"] == 9
    assert writer.name == f"some-model at {server.url}"
