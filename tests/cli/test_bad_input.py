"""Everything a user may get wrong: one plain sentence that names it, exit status 2, nothing on stdout."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from r2ag.cli.opening import Source
from r2ag.cli.train import document_range, weighted_file
from r2ag.errors import InputError
from tests.cli.conftest import Command, Tiny, record, write_records
from tests.tiny import tiny_encoder_folder, tiny_llm


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ask"], "--docs"),
        (["ask", "Which?"], "--docs"),
        (["ask", "Which?", "--docs", "x", "--k", "0"], "--k"),
        (["ask", "Which?", "--docs", "x", "--k", "many"], "--k"),
        (["ask", "Which?", "--docs", "x", "--frobnicate"], "--frobnicate"),
        (["frobnicate"], "frobnicate"),
        (["train", "--data", "x"], "--output"),
        (["train", "--data", "x", "--output", "y", "--method", "magic"], "magic"),
        (["calibrate", "--data", "x", "--output", "y"], "--adapter"),
        (["eval"], "--data"),
    ],
)
def test_usage(r2ag: Command, arguments: list[str], words: str) -> None:
    sentence = r2ag.refused(*arguments)
    assert words in sentence
    assert sentence.endswith("--help.")


@pytest.mark.parametrize("question", ["", "  \n", "x" * 100_000])
def test_questions(r2ag: Command, tiny: Tiny, question: str) -> None:
    assert "question" in r2ag.refused("ask", question, *tiny.ask()[2:])


def test_documents_that_are_missing_empty_or_no_text(r2ag: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "binary.txt").write_bytes(b"\x7fELF\0\0\1")
    (tmp_path / "folder").mkdir()
    for name in ("missing.txt", "empty.txt", "binary.txt", "folder"):
        assert name in r2ag.refused("ask", "Which bridge?", "--docs", tmp_path / name)


def test_a_question_without_quotes(r2ag: Command, tiny: Tiny) -> None:
    assert "quotes" in r2ag.refused("ask", "Which", "bridge?", "--docs", tiny.documents)


def test_k_above_what_the_adapter_takes(r2ag: Command, tiny: Tiny) -> None:
    assert "1 to 32" in r2ag.refused(*tiny.ask("--k", "33"))
    assert "1 to 32" in r2ag.refused("eval", "--data", tiny.records, "--adapter", tiny.adapter, "--k", "33")


def test_models_that_are_not_there(r2ag: Command, tiny: Tiny) -> None:
    for option in ("--adapter", "--llm", "--retriever"):
        assert "./nowhere" in r2ag.refused(*tiny.ask(option, "./nowhere"))


def test_damaged_adapters(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    cut = shutil.copytree(tiny.adapter, tmp_path / "cut")
    weights = (cut / "model.safetensors").read_bytes()
    (cut / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    assert "model.safetensors" in r2ag.refused(*tiny.ask("--adapter", str(cut)))
    assert "model.safetensors" in r2ag.refused("info", "--adapter", cut)
    newer = shutil.copytree(tiny.adapter, tmp_path / "newer")
    config = json.loads((newer / "config.json").read_text())
    (newer / "config.json").write_text(json.dumps(config | {"format_version": 99}))
    assert "upgrade" in r2ag.refused(*tiny.ask("--adapter", str(newer)))


def test_an_adapter_for_another_llm_or_encoder(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    other = shutil.copytree(tiny.llm, tmp_path / "llm")
    tiny_llm(vocabulary=_vocabulary(tiny.llm), seed=1).save_pretrained(other)
    assert "embeddings" in r2ag.refused(*tiny.ask("--llm", str(other)))
    encoder = tiny_encoder_folder(tmp_path / "encoder", similarity="dot")
    assert "encoder" in r2ag.refused(*tiny.ask("--retriever", str(encoder)))


@pytest.mark.parametrize("command", ["train", "train-encoder", "calibrate", "eval"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no file"),
        ("", "no records"),
        ("{", "line 1"),
        (json.dumps(record(0)) + "\n[]", "line 2"),
        (json.dumps(record(0) | {"answers": []}), '"answers"'),
        (json.dumps(record(0) | {"documents": []}), '"documents"'),
        (json.dumps({"id": "1"}), '"question"'),
        (json.dumps(record(0)), "few|more|half"),
    ],
)
def test_records(r2ag: Command, tiny: Tiny, tmp_path: Path, command: str, content: str | None, words: str) -> None:
    if command == "eval" and "few" in words:
        pytest.skip("a single record can be evaluated")
    file = tmp_path / "records.jsonl"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    options: list[object] = ["--data", file]
    if command in ("calibrate", "eval"):
        options += ["--adapter", tiny.adapter]
    if command != "eval":
        options += ["--output", tmp_path / "out"]
    sentence = r2ag.refused(command, *options)
    assert any(word in sentence for word in words.split("|")), sentence
    assert {path.name for path in tmp_path.iterdir()} <= {"records.jsonl"}


@pytest.mark.parametrize("command", ["train", "train-encoder", "calibrate"])
def test_an_output_folder_with_other_things_is_left_alone(
    r2ag: Command, tiny: Tiny, tmp_path: Path, command: str
) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    options = ["--data", tiny.records, *(["--adapter", tiny.adapter] if command == "calibrate" else [])]
    assert "--output" in r2ag.refused(command, *options, "--output", tmp_path)
    assert "--output" in r2ag.refused(command, *options, "--output", precious)
    assert precious.read_text() == "mine"


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--output"],
        ["train-encoder", "--output"],
        ["calibrate", "--adapter", "ADAPTER", "--output"],
        ["choose", "--adapter", "ADAPTER", "--output"],
        ["choose", "--adapter", "ADAPTER", "--output", "new", "--answers"],
        ["eval", "--adapter", "ADAPTER", "--output"],
        ["study", "calibration", "--adapter", "ADAPTER", "--output"],
    ],
    ids=" ".join,
)
def test_places_where_nothing_can_be_written(
    r2ag: Command, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    command = [str(tiny.adapter) if argument == "ADAPTER" else argument for argument in arguments]
    for place in ("file/sub", *(["/proc/nothing/new"] if sys.platform == "linux" else [])):
        sentence = r2ag.refused(*command, place, "--data", tiny.records)
        assert sentence.startswith("r2ag: Nothing can be written to ")
        assert sentence.endswith(f"name another folder for {arguments[-1]}.")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_files_where_nothing_can_be_written(
    r2ag: Command, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    for command in (["convert", tiny.records], ["mine", tiny.records, "--pool", tiny.records]):
        sentence = r2ag.refused("data", *command, "--output", "file/out.jsonl")
        assert sentence.startswith("r2ag: Nothing can be written to ")
        assert sentence.endswith("name another folder for --output.")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_patterns_may_follow_one_another(tmp_path: Path) -> None:
    for name in ("a.md", "b.txt"):
        (tmp_path / name).write_text("The bridge.")
    Source([tmp_path / "*.md"], [tmp_path / "*.txt", tmp_path / "a?*"], None).open()
    with pytest.raises(InputError, match="put that in quotes"):
        Source([tmp_path / "*.md"], [Path("bridge?")], None).open()


def test_a_server_that_is_not_there_leaves_nothing_behind(
    r2ag: Command, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("r2ag.io.http.LONGEST_PAUSE_SECONDS", 0.01)
    nobody = "http://127.0.0.1:1/v1"
    for arguments in (
        ["index", tiny.documents, "--store", "store", "--encoder", "m", "--embeddings-url", nobody],
        ["data", "make", "--docs", tiny.documents, "--output", "o.jsonl", "--endpoint", nobody, "--llm", "m"],
        ["ask", "Which bridge?", "--docs", tiny.documents, "--engine", "vllm", "--engine-url", nobody],
    ):
        if arguments[0] == "data":
            arguments += ["--retriever", tiny.encoder]
        elif arguments[0] == "ask":
            arguments += ["--adapter", tiny.adapter]
        assert "127.0.0.1:1/v1" in r2ag.refused(*arguments)
    assert not any(tmp_path.iterdir())


def test_keys_that_cannot_be_read(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    serve = ["serve", "--docs", tiny.documents, "--keys"]
    for name, words in (("missing", "(No such file or directory)"), ("binary", "(it is no text in UTF-8)")):
        assert f"The keys in {tmp_path / name} can't be read {words}" in r2ag.refused(*serve, tmp_path / name)


def test_names_that_no_system_takes(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    name = tmp_path / ("x" * 5000)
    adapter = ["--adapter", tiny.adapter]
    for arguments in (
        ["ask", "Which bridge?", "--store", name, *adapter],
        ["index", tiny.documents, "--store", name, *adapter],
        ["train", "--data", tiny.records, "--output", name],
        ["eval", "--data", tiny.records, "--output", name, *adapter],
        ["data", "convert", tiny.records, "--output", f"{name}.jsonl"],
        ["report", name],
    ):
        assert "can't be used (File name too long)" in r2ag.refused(*arguments)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--documents", "ten"], "--documents"),
        (["--documents", "1-99"], "--documents"),
        (["--documents", "5-2"], "documents"),
        (["--epochs", "-1"], "--epochs"),
        (["--epochs", "nan"], "--epochs"),
        (["--learning-rate", "-1"], "--learning-rate"),
        (["--without-relevant", "1.5"], "--without-relevant"),
        (["--max-prompt-tokens", "5000"], "at most 1024"),
        (["--max-prompt-tokens", "100"], "give more"),
        (["--resume"], "--resume"),
        (["--encoder-lora", "nowhere"], "nowhere"),
        (["--vectors", __file__], "is a file"),
    ],
)
def test_training_options(r2ag: Command, tiny: Tiny, tmp_path: Path, options: list[str], words: str) -> None:
    models = ["--llm", tiny.llm, "--retriever", tiny.encoder]
    arguments = ["train", "--data", tiny.records, "--output", tmp_path / "out", *models, *options]
    assert words in r2ag.refused(*arguments)
    assert not any(tmp_path.iterdir())


def test_weights(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    assert weighted_file("a.jsonl") == (Path("a.jsonl"), 1.0)
    assert weighted_file("a.jsonl:0.5") == (Path("a.jsonl"), 0.5)
    assert weighted_file("a:b.jsonl") == (Path("a:b.jsonl"), 1.0)
    named = write_records(tmp_path / "a:2", [record(0)])
    assert weighted_file(str(named)) == (named, 1.0)
    sentence = r2ag.refused("train", "--data", f"{tiny.records}:0", "--output", tmp_path / "out")
    assert "records.jsonl is 0" in sentence


def test_document_ranges() -> None:
    assert document_range("2-10") == (2, 10)
    assert document_range("5") == (5, 5)
    for wrong in ("", "-", "1-", "-3", "1-2-3", "a-b"):
        with pytest.raises(InputError, match="--documents"):
            document_range(wrong)


def test_an_adapter_that_learns_on_keeps_what_is_its_own(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    options = ["train", "--data", tiny.records, "--output", tmp_path / "out", "--start-from", tiny.adapter]
    for own in (["--slots", "3"], ["--prompt", "few-shot"], ["--llm", tiny.llm]):
        assert f"takes {own[0]} from the adapter" in r2ag.refused(*options, *own)
    assert not any(tmp_path.iterdir())


def test_gold_relevance_needs_something_to_move(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    models = ["--llm", tiny.llm, "--retriever", tiny.encoder]
    options = ["train", "--data", tiny.records, "--output", tmp_path / "out", "--gold-relevance", "1", *models]
    assert "needs --relevance-direction" in r2ag.refused(*options)


def test_calibrating_wants_both_kinds_of_documents(r2ag: Command, tiny: Tiny, tmp_path: Path) -> None:
    irrelevant = [{**document, "relevant": False} for document in record(0)["documents"]]  # type: ignore[attr-defined]
    file = write_records(tmp_path / "r.jsonl", [record(i) | {"documents": irrelevant} for i in range(8)])
    options = ["--adapter", tiny.adapter, "--output", tmp_path / "out"]
    assert "relevant" in r2ag.refused("calibrate", "--data", file, *options)
    assert not (tmp_path / "out").exists()


def test_methods_that_do_not_exist(r2ag: Command, tiny: Tiny) -> None:
    assert "magic" in r2ag.refused("eval", "--data", tiny.records, "--methods", "rag,magic", "--adapter", tiny.adapter)


def _vocabulary(folder: Path) -> int:
    return int(json.loads((folder / "config.json").read_text())["vocab_size"])
