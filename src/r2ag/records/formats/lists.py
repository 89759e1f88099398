"""Data sets whose entries are a question and a list of documents, of which some are labelled as relevant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from r2ag.records.files import parse_record
from r2ag.records.formats.rows import Format, Row, holding
from r2ag.records.split import by_hash
from r2ag.types import Document, Record

LEAST_SHARED_PAIRS = 0.7
_TITLE = re.compile(r"\s*标题[：:][ \t]*(?P<title>[^\n]*)\n?")
_BODY = re.compile(r"\s*内容[：:][ \t]*")


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


def _hotpotqa(row: Row, seed: int) -> Record:
    """HotpotQA in the distractor setting: a JSON array, or its rows on the hub.

    Fields: _id (on the hub id), question, answer, supporting_facts, context (README of hotpotqa/hotpot), and in
    2WikiMultiHopQA evidences (README of Alab-NII/2wikimultihop). A paragraph is relevant where a supporting fact stands
    in it. The paragraphs come shuffled, and stay as they come.
    """
    name = "_id" if row.has("_id") else "id"
    return Record(row.text(name), row.text("question"), (row.text("answer"),), _paragraphs(row))


def _flashrag(row: Row, seed: int) -> Record:
    """FlashRAG's files: JSON lines with id, question, golden_answers and metadata (RUC-NLPIR/FlashRAG_datasets).

    Only the sets whose metadata has "context" and "supporting_facts" (HotpotQA, 2WikiMultiHopQA) hold documents.
    Questions of the others are left out of what is written.
    """
    question, metadata = row.text("question"), row.inner("metadata")
    documents = _paragraphs(metadata) if metadata.has("context", "supporting_facts") else ()
    return Record(str(row.fields.get("id", question)), question, row.texts("golden_answers"), documents)


def _paragraphs(row: Row) -> tuple[Document, ...]:
    """The paragraphs of "context" in their own order, relevant where "supporting_facts" names their title."""
    supporting = {title for title, _ in _titled(row, "supporting_facts", "sent_id")}
    found = []
    for title, sentences in _titled(row, "context", "sentences", "content"):
        if not isinstance(sentences, list) or not all(isinstance(sentence, str) for sentence in sentences):
            raise row.wrong("context", "must give each paragraph as a title and a list of sentences")
        # HotpotQA's sentences begin with the space that parts them from the one before, 2WikiMultiHopQA's do not.
        text = " ".join(stripped for sentence in sentences if (stripped := sentence.strip()))
        if text:
            found.append(Document(text, title, relevant=title in supporting))
    return tuple(found)


def _titled(row: Row, name: str, *columns: str) -> list[tuple[str, Any]]:
    """A field's pairs of a title and something else.

    The published JSON files hold pairs, [title, sentences] and [title, sentence number]. The same sets on the Hugging
    Face hub, and FlashRAG's files, hold columns: {"title": […], "sentences": [[…], …]} (FlashRAG's 2WikiMultiHopQA
    calls them "content") and {"title": […], "sent_id": […]}. There the first of `columns` counts.
    """
    value = row.fields.get(name)
    if isinstance(value, dict):
        both: list[Any] = [value.get("title"), next((value[column] for column in columns if column in value), None)]
        whole = all(isinstance(column, list) for column in both) and len(both[0]) == len(both[1])
        value = list(zip(*both, strict=True)) if whole else None
    if not isinstance(value, list) or not all(_is_pair(pair) for pair in value):
        raise row.wrong(name, f"must be a list of pairs, or columns named title and {' or '.join(columns)}")
    return [(title, other) for title, other in value]


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)


def _is_longbench(row: Row) -> bool:
    return row.has("input", "context", "answers") and "文章1" in row.optional_text("context")[:100]


def _longbench(row: Row, seed: int) -> Record:
    """DuReader as LongBench gives it: JSON lines with input, context and answers (THUDM/LongBench, dureader.jsonl).

    The context is one text, "文章1", a title behind "标题：", the article, "文章2" and so on. LongBench says nothing
    about relevance. The labels here follow a rule: **an article is relevant where it holds at least 70 % of the
    different pairs of neighbouring letters of one of the answers**, spaces and punctuation left out. Annotators write
    answers in their own words, so that none needs to stand in an article as it is. On 120 training records of DuReader
    itself, each filled up to 20 articles with those on other matters, the rule finds .87 of the articles that the
    annotators chose, and .79 of those that it finds were chosen by them; 60 % and 80 % agree with them less.
    """
    question, answers = row.text("input"), row.texts("answers")
    articles = list(_articles(row.text("context")))
    if not articles:
        raise row.wrong("context", "must number its articles 文章1, 文章2 and so on, as LongBench's dureader does")
    wanted = [pairs for answer in answers if (pairs := _letter_pairs(answer))]
    documents = tuple(
        Document(text, title, relevant=_holds_one(f"{title}\n{text}", wanted)) for title, text in articles if text
    )
    return Record(str(row.fields.get("_id", question)), question, answers, documents)


def _articles(context: str) -> Iterator[tuple[str, str]]:
    """(title, text) of each; a line "文章7" in an article begins a new one only where the seventh is next."""
    starts, position, number = [], 0, 1
    while match := re.compile(rf"(?m)^[ \t]*(?:文章[：:])?文章{number}[ \t]*$\n?").search(context, position):
        starts.append((match.start(), match.end()))
        position, number = match.end(), number + 1
    ends = [start for start, _ in starts[1:]] + [len(context)]
    for (_, start), end in zip(starts, ends, strict=True):
        article = context[start:end]
        title = _TITLE.match(article)
        body = article[title.end() :] if title else article
        yield (title["title"].strip() if title else ""), _BODY.sub("", body, count=1).strip()


def _holds_one(text: str, wanted: Sequence[frozenset[str]]) -> bool:
    held = _letter_pairs(text)
    return any(len(held & pairs) >= LEAST_SHARED_PAIRS * len(pairs) for pairs in wanted)


def _letter_pairs(text: str) -> frozenset[str]:
    letters = re.sub(r"[\W_]+", "", text.lower())
    return frozenset(letters[i : i + 2] for i in range(len(letters) - 1)) or frozenset(letters)


_TITLED = ("question", "answer", "supporting_facts", "context")
# In the order in which they are tried: what has more fields of its own comes before what has fewer.
FORMATS = (
    Format("r2ag", holding("question", "answers", documents="text"), _own),
    Format("lost-in-the-middle", holding("question", "answers", ctxs="isgold"), _lost_in_the_middle),
    Format("2wikimultihopqa", holding(*_TITLED, "evidences"), _hotpotqa),
    Format("hotpotqa", holding(*_TITLED), _hotpotqa),
    Format("musique", holding("question", "answer", paragraphs="paragraph_text"), _musique),
    Format("dureader", holding("question", documents="paragraphs"), _dureader),
    Format("longbench-dureader", _is_longbench, _longbench),
    Format("flashrag", holding("question", "golden_answers"), _flashrag),
)
