"""Records out of one's own documents and logs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from r2ag.records import read_records
from tests.api_server import chat_server
from tests.cli.conftest import TOPICS, Command, Tiny, write_records


def about_topics(message: str) -> str:
    """A model that asks when things were built, and knows of the bridge by itself."""
    *_, asked = re.findall(r"The (\w+) was built in 1471", message) or [""]
    if message.endswith("Answer:"):
        question = message.rpartition("Question: ")[2]
        return "1471" if asked or "bridge" in question else "nobody knows"
    return f"When was the {asked} built?\nAnswer: 1471"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "own" / "records.jsonl.gz"


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_a_server_writes_what_the_checks_let_pass(r2ag: Command, tiny: Tiny, output: Path) -> None:
    (tiny.documents.parent / "rain.txt").write_text("It rains.\n")
    with chat_server(about_topics) as server:
        options = ["--endpoint", server.url, "--llm", "some-model", "--retriever", tiny.encoder, "--output", output]
        outcome = r2ag("data", "make", "--docs", tiny.documents, tiny.documents.parent / "rain.txt", *options)
    assert outcome.status == 0, outcome.err
    told = " ".join(outcome.out.split())
    assert "1 answered without the passage" in told
    assert "1 no answer of the passage" in told
    records = read_records(output)
    assert {record.question for record in records} == {f"When was the {t} built?" for t in TOPICS if t != "bridge"}
    for record in records:
        (good,) = (document for document in record.documents if document.relevant)
        assert record.question[13:-7] in good.text
        assert record.answers == ("1471",)
        assert [d.text for d in record.documents if not d.relevant] == ["It rains."]
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    assert "7 of 7 passages" in outcome.err


def test_an_interrupted_run_goes_on(r2ag: Command, tiny: Tiny, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with chat_server(about_topics) as server:
        options = ["--endpoint", server.url, "--llm", "m", "--retriever", tiny.encoder, "--output", output]
        arguments = ["data", "make", "--docs", tiny.documents, *options]
        answered = server.respond

        def stop_at_the_tenth(request: dict[str, Any]) -> dict[str, Any]:
            if len(server.requests) == 9:
                server.answers = [(400, {}, b"")]  # of the next one
            return answered(request)

        server.respond = stop_at_the_tenth
        assert "status 400" in r2ag("data", "make", "--docs", tiny.documents, *options).err
        assert not output.exists()
        server.respond, before = answered, len(server.requests)
        outcome = r2ag(*arguments)
        assert outcome.status == 0, outcome.err
        assert len(server.requests) - before < 3 * len(TOPICS) - 6
    assert len(read_records(output)) == 5


def test_an_llm_that_writes_nonsense_is_refused(r2ag: Command, tiny: Tiny, output: Path) -> None:
    models = ["--llm", tiny.llm, "--retriever", tiny.encoder]
    outcome = r2ag("data", "make", "--docs", tiny.documents, "--limit", 2, *models, "--output", output)
    assert (outcome.status, outcome.out) == (2, "")
    assert "None of the 2 questions" in outcome.err
    assert "2 no question" in outcome.err
    assert list(output.parent.iterdir()) == []


def test_bad_input_of_make(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    common = ["--retriever", tiny.encoder, "--llm", tiny.llm]
    assert "--output" in r2ag.refused("data", "make", "--docs", tiny.documents, "--output", tmp_path, *common)
    missing = r2ag.refused("data", "make", "--docs", tmp_path / "gone", "--output", tmp_path / "o.jsonl", *common)
    assert "gone" in missing
    options = ["--output", tmp_path / "o.jsonl", *common, "--endpoint", "nowhere"]
    assert "no address of a server" in r2ag.refused("data", "make", "--docs", tiny.documents, *options)
    assert not any(tmp_path.iterdir())


def log_of(tmp_path: Path, *extra: object) -> Path:
    lines = [{"question": f"When was the {t} built?", "answer": "1471", "source": f"{t}.md"} for t in TOPICS[:3]]
    return write_records(tmp_path / "log.jsonl", [*lines, *extra])


def test_a_log_with_a_folder(r2ag: Command, tiny: Tiny, tmp_path: Path, output: Path) -> None:
    log = log_of(tmp_path, {"question": "Why?", "answer": "so", "source": "gone.md"})
    more = tmp_path / "rain.txt"
    more.write_text("It rains.\n")
    options = ["--retriever", tiny.encoder, "--output", output]
    outcome = r2ag("data", "from-logs", log, "--docs", tiny.documents, more, *options)
    assert outcome.status == 0, outcome.err
    assert "1 whose good documents are not there" in " ".join(outcome.out.split())
    records = read_records(output)
    assert [record.question[13:-7] for record in records] == list(TOPICS[:3])
    for record, topic in zip(records, TOPICS, strict=False):
        assert [d.text for d in record.documents if d.relevant] == [f"The {topic} was built in 1471."]
        assert [d.text for d in record.documents if not d.relevant] == ["It rains."]


def test_a_log_with_a_stores_passages(r2ag: Command, tiny: Tiny, tmp_path: Path, output: Path) -> None:
    from r2ag.store import Store

    store = tmp_path / "store"
    assert r2ag("index", tiny.documents, "--store", store, "--encoder", tiny.encoder).status == 0
    with Store.open(store).snapshot() as snapshot:
        identity = snapshot.ids()[1]
        text = snapshot.documents([identity])[0].text
    log = log_of(tmp_path, {"id": "by-id", "question": "Which?", "answer": "nothing", "passages": [identity]})
    options = ["--retriever", tiny.encoder, "--output", output]
    outcome = r2ag("data", "from-logs", log, "--store", store, *options)
    assert outcome.status == 0, outcome.err
    last = read_records(output)[-1]
    assert last.id == "by-id"
    assert [document.text for document in last.documents if document.relevant] == [text]
    assert sum(not document.relevant for document in last.documents) == len(TOPICS) - 1
    assert "by their ids" in r2ag.refused("data", "from-logs", log, "--docs", tiny.documents, *options)


def test_bad_input_of_from_logs(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    log = log_of(tmp_path)
    options = ["--retriever", tiny.encoder, "--output", tmp_path / "o.jsonl"]
    for documents in ([], ["--docs", tiny.documents, "--store", tmp_path]):
        assert "either with --docs or with --store" in r2ag.refused("data", "from-logs", log, *documents, *options)
    assert "no store" in r2ag.refused("data", "from-logs", log, "--store", tmp_path / "gone", *options)
    log.write_text(json.dumps({"question": "Why?", "answer": "so", "source": "gone.md"}))
    assert "gone.md" in r2ag.refused("data", "from-logs", log, "--docs", tiny.documents, *options)
    log.write_text("{")
    assert "line 1" in r2ag.refused("data", "from-logs", log, "--docs", tiny.documents, *options)
    assert not (tmp_path / "o.jsonl").exists()
