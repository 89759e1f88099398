"""Data sets whose entries are a question and a list of documents, each with its own label."""

from __future__ import annotations

from r2ag.records.files import parse_record
from r2ag.records.formats.order import by_hash
from r2ag.records.formats.row import Format, Row, holding
from r2ag.types import Document, Record


def _own(row: Row, seed: int) -> Record:
    """r2ag's own records."""
    return parse_record(row.fields, row.where)


def _lost_in_the_middle(row: Row, seed: int) -> Record:
    """NQ as "Lost in the Middle" gives it: `nq-open-20_total_documents_gold_at_0.jsonl.gz` and its like.

    Fields: question, answers, ctxs, each with title, text, hasanswer, isgold (Liu et al., qa_data in their repository).
    The gold document stands at one and the same place in all lines of a file, so that their order is given up.
    """
    question = row.text("question")
    return Record(question, question, row.texts("answers"), by_hash(_documents(row, "ctxs", "text", "isgold"), seed))


def _musique(row: Row, seed: int) -> Record:
    """MuSiQue: JSON lines (StonyBrookNLP/musique).

    Fields: id, question, answer, answer_aliases, answerable, paragraphs, each with title, paragraph_text,
    is_supporting. The unanswerable questions of MuSiQue-Full have no answer in their paragraphs: they come out without
    one, and are left out of what is written.
    """
    answerable = row.flag("answerable") if row.has("answerable") else True
    answers = tuple(dict.fromkeys((row.text("answer"), *row.texts("answer_aliases"))))
    documents = _documents(row, "paragraphs", "paragraph_text", "is_supporting")
    return Record(row.text("id"), row.text("question"), answers if answerable else (), documents)


def _dureader(row: Row, seed: int) -> Record:
    """DuReader 2.0, raw or preprocessed: JSON lines (baidu/DuReader).

    Fields: question_id, question, answers, documents, each with title, paragraphs, is_selected, and more. Documents
    stay in the search engine's order, and the paragraphs of one are its text. It is relevant where an annotator used it
    for an answer. Questions that nobody could answer have no answers and are left out of what is written.
    """
    question = row.text("question")
    documents = tuple(
        Document("\n".join(paragraphs), document.optional_text("title"), relevant=document.flag("is_selected"))
        for document in row.rows("documents")
        if (paragraphs := document.texts("paragraphs"))
    )
    return Record(str(row.fields.get("question_id", question)), question, row.texts("answers"), documents)


def _documents(row: Row, name: str, text: str, relevant: str) -> tuple[Document, ...]:
    """The documents of the list `name`, by their fields of text and of relevance."""
    return tuple(
        Document(document.text(text), document.optional_text("title"), relevant=document.flag(relevant))
        for document in row.rows(name)
    )


OWN = Format("r2ag", holding("question", "answers", documents="text"), _own)
LOST_IN_THE_MIDDLE = Format("lost-in-the-middle", holding("question", "answers", ctxs="isgold"), _lost_in_the_middle)
MUSIQUE = Format("musique", holding("question", "answer", paragraphs="paragraph_text"), _musique)
DUREADER = Format("dureader", holding("question", documents="paragraphs"), _dureader)
