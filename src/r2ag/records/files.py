"""Records on disk: JSON lines, optionally gzip'd, checked line by line."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

from r2ag.errors import InputError
from r2ag.io.atomic import whole_file
from r2ag.types import Document, Record

MAX_LINE_BYTES = 20_000_000


def read_records(path: str | os.PathLike[str]) -> list[Record]:
    """Reads every record of a file and checks each.

    Raises:
        InputError: names the file, the line and what is wrong with it.
    """
    file = Path(path)
    records = [parse_record(fields, where, _stem(file)) for where, fields in json_lines(file)]
    if not records:
        raise InputError(f"{file} holds no records; each line must be one JSON object with a question and documents.")
    return records


def read_files(paths: Sequence[str | os.PathLike[str]]) -> list[list[Record]]:
    """The records of each file; their data sets are called by the files' names, with folders where these are the same.

    Raises:
        InputError: as `read_records`.
    """
    files = [Path(path) for path in paths]
    return [
        [replace(record, dataset=name) for record in read_records(file)]
        for file, name in zip(files, _dataset_names(files), strict=True)
    ]


def _dataset_names(files: Sequence[Path]) -> list[str]:
    short = [_stem(file) for file in files]
    longer = [f"{file.absolute().parent.name}/{name}" for file, name in zip(files, short, strict=True)]
    names = [name if short.count(name) == 1 else more for name, more in zip(short, longer, strict=True)]
    return [f"{name}-{count}" if (count := names[:i].count(name) + 1) > 1 else name for i, name in enumerate(names)]


def _stem(file: Path) -> str:
    return file.name.split(".")[0]


def write_records(records: Iterable[Record], path: str | os.PathLike[str]) -> None:
    """Writes records as JSON lines, gzip'd where the name ends in .gz; an old file is replaced whole or not at all."""
    target = Path(path)
    opener = gzip.open if target.suffix == ".gz" else open
    # What UTF-8 can't hold (half an emoji, read from another file's "\\ud83d") is written as such an escape again.
    with whole_file(target) as new, opener(new, "wt", encoding="utf-8", errors="backslashreplace") as lines:
        for record in records:
            lines.write(json.dumps(_fields(record), ensure_ascii=False) + "\n")


def _fields(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "question": record.question,
        "answers": list(record.answers),
        "documents": [
            {"title": document.title, "text": document.text, "relevant": bool(document.relevant)}
            | ({"scores": dict(document.scores)} if document.scores else {})
            for document in record.documents
        ],
    }


def json_lines(file: Path) -> Iterator[tuple[str, Any]]:
    """Each line of a file as the JSON value it holds, with words for where it stands; blank lines are left out.

    Raises:
        InputError: the file can't be read, or a line is too long or no JSON; names it.
    """
    with opened(file) as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{file}, line {number}"
            if len(line) > MAX_LINE_BYTES:
                raise InputError(f"{where}: longer than {MAX_LINE_BYTES:,} bytes; split the record.")
            if line.strip():
                yield where, _parse(line, where)


@contextmanager
def opened(file: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked where its name ends in .gz; what goes wrong with it is one sentence.

    Raises:
        InputError: there is no such file, it is a folder or a damaged gzip file, or it can't be read.
    """
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as stream:
            yield cast("IO[bytes]", stream)
    except FileNotFoundError:
        raise InputError(f"There is no file {file}; check the path.") from None
    except IsADirectoryError:
        raise InputError(f"{file} is a folder; name a file of records (JSON lines, .jsonl or .jsonl.gz).") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise InputError(f"{file} is not a whole gzip file; copy or download it again.") from None
    except OSError as error:
        raise InputError(f"{file} can't be read ({error.strerror}).") from None


def _parse(line: bytes, where: str) -> Any:
    try:
        return json.loads(line)
    except UnicodeDecodeError:
        raise InputError(f"{where}: not UTF-8 text; records are JSON lines in UTF-8.") from None
    except (ValueError, RecursionError):
        raise InputError(f"{where}: not valid JSON; each line must be one JSON object.") from None


def parse_record(fields: Any, where: str, dataset: str = "") -> Record:
    """The record that one line of a file describes.

    Raises:
        InputError: a field is missing or no such thing as it should be; names it and `where` it stands.
    """
    if not isinstance(fields, dict):
        raise InputError(f"{where}: not a JSON object; a record has id, question, answers and documents.")
    question = fields.get("question")
    if not isinstance(question, str) or not question.strip():
        raise InputError(f'{where}: "question" is missing or empty; give a string.')
    answers = fields.get("answers")
    if not isinstance(answers, list) or not answers or not all(isinstance(a, str) and a.strip() for a in answers):
        raise InputError(f'{where}: "answers" must be a list with at least one non-empty string.')
    documents = fields.get("documents")
    if not isinstance(documents, list) or not documents:
        raise InputError(f'{where}: "documents" must be a list with at least one document.')
    return Record(
        id=str(fields.get("id", question)),
        question=question,
        answers=tuple(answers),
        documents=tuple(_document(document, f"{where}, document {i}") for i, document in enumerate(documents, 1)),
        dataset=dataset,
    )


def _document(fields: Any, where: str) -> Document:
    if not isinstance(fields, dict) or not isinstance(fields.get("text"), str):
        raise InputError(f'{where}: needs "text", a string.')
    title = fields.get("title") or ""
    relevant = fields.get("relevant", False)
    if not isinstance(title, str) or not isinstance(relevant, bool):
        raise InputError(f'{where}: "title" must be a string and "relevant" true or false.')
    scores = fields.get("scores") or {}
    if not isinstance(scores, dict) or not all(type(value) in (int, float) for value in scores.values()):
        raise InputError(f'{where}: "scores" must be an object of names and numbers.')
    return Document(text=fields["text"], title=title, relevant=relevant, scores=scores)
