"""DuReader as LongBench gives it: JSON lines with input, context and answers (THUDM/LongBench, dureader.jsonl).

The context is one text, "文章1", a title behind "标题：", the article, "文章2" and so on. LongBench says nothing about
relevance. The labels here follow a rule: **an article is relevant where it holds at least 70 % of the different pairs
of neighbouring letters of one of the answers**, spaces and punctuation left out. Annotators write answers in their own
words, so that none needs to stand in an article as it is. On 120 training records of DuReader itself, each filled up to
20 articles with those on other matters, the rule finds .87 of the articles that the annotators chose, and .79 of those
that it finds were chosen by them; 60 % and 80 % agree with them less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from r2ag.records.formats.row import Format, Row
from r2ag.types import Document, Record

LEAST_SHARED_PAIRS = 0.7
_TITLE = re.compile(r"\s*标题[：:][ \t]*(?P<title>[^\n]*)\n?")
_BODY = re.compile(r"\s*内容[：:][ \t]*")


def _fits(row: Row) -> bool:
    return row.has("input", "context", "answers") and "文章1" in row.optional_text("context")[:100]


def _record(row: Row, seed: int) -> Record:
    question, answers = row.text("input"), row.texts("answers")
    articles = list(_articles(row.text("context")))
    if not articles:
        raise row.wrong("context", "must number its articles 文章1, 文章2 and so on, as LongBench's dureader does")
    wanted = [pairs for answer in answers if (pairs := _pairs(answer))]
    documents = tuple(
        Document(text, title, relevant=_holds_one(f"{title}\n{text}", wanted)) for title, text in articles if text
    )
    name = row.fields.get("_id", question)
    return Record(str(name), question, answers, documents)


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
    held = _pairs(text)
    return any(len(held & pairs) >= LEAST_SHARED_PAIRS * len(pairs) for pairs in wanted)


def _pairs(text: str) -> frozenset[str]:
    letters = re.sub(r"[\W_]+", "", text.lower())
    return frozenset(letters[i : i + 2] for i in range(len(letters) - 1)) or frozenset(letters)


LONGBENCH = Format("longbench-dureader", _fits, _record)
