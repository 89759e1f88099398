from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from r2ag.cli.output import in_words
from r2ag.errors import InputError
from r2ag.records import read_records, write_records
from r2ag.studies.base import Step, file_name
from r2ag.studies.steps import make_all
from r2ag.types import Document, Record


class Commands:
    """Runs commands by writing what they would leave behind."""

    def __init__(self, folder: Path, status: int = 0) -> None:
        self.lines: list[list[str]] = []
        self.folder = folder
        self.status = status
        self.settings: dict[str, object] = {}

    def __call__(self, arguments: Sequence[str]) -> int:
        self.lines.append(list(arguments))
        if not self.status:
            output = Path(arguments[arguments.index("--output") + 1])
            output.mkdir(parents=True)
            (output / "model.safetensors").touch()
            checkpoint = output.with_name(f"{output.name}-run") / "checkpoint-5"
            checkpoint.mkdir(parents=True, exist_ok=True)
            (checkpoint / "trainer_state.json").write_text("{}")
        return self.status

    def make(self, *steps: Step) -> None:
        make_all(steps, self.folder, lambda command: self.settings, lambda message: None, in_words, self)


def step(folder: Path, name: str, finder: str = "", seed: int = 0) -> Step:
    data = folder / "train.jsonl"
    data.touch(exist_ok=True)
    command = ("train", "--seed", str(seed), "--vectors", str(folder / "vectors"))
    return Step(folder / name, command, ((data, 2.0),), finder)


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    run = Commands(tmp_path)
    run.make(step(tmp_path, "one"))
    run.make(step(tmp_path, "one"), step(tmp_path, "two"))
    assert [line[-1] for line in run.lines] == [str(tmp_path / "one"), str(tmp_path / "two")]
    assert run.lines[0][:3] == ["train", "--seed", "0"]
    assert run.lines[0][5:7] == ["--data", f"{tmp_path / 'train.jsonl'}:2"]


def test_what_other_options_or_records_made_is_refused(tmp_path: Path) -> None:
    run = Commands(tmp_path)
    run.make(step(tmp_path, "one"))
    with pytest.raises(InputError, match="one was made with other options or records"):
        run.make(step(tmp_path, "one", seed=1))
    (tmp_path / "train.jsonl").write_text("{}")
    with pytest.raises(InputError, match="one was made with other options or records"):
        run.make(Step(tmp_path / "one", step(tmp_path, "two").command, ((tmp_path / "train.jsonl", 2.0),)))
    assert len(run.lines) == 1


def test_what_was_begun_with_other_options_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one failed"):
        Commands(tmp_path, status=1).make(step(tmp_path, "one"))
    with pytest.raises(InputError, match=r"remove one, one-run and one-made-by\.json there"):
        Commands(tmp_path).make(step(tmp_path, "one", seed=1))
    Commands(tmp_path).make(step(tmp_path, "one"))


def test_settings_and_the_steps_before_count_too(tmp_path: Path) -> None:
    run = Commands(tmp_path)
    first = step(tmp_path, "one")
    second = Step(tmp_path / "two", ("choose", "--adapter", str(first.folder), "--batch-size", "1"), first.data)
    run.make(first, second)
    run.make(first, Step(second.folder, (*second.command[:-1], "8"), first.data))  # read together, not otherwise
    assert len(run.lines) == 2
    run.settings = {"epochs": 3}
    with pytest.raises(InputError, match="one was made with other options"):
        run.make(first)
    run.settings = {}
    shutil.rmtree(first.folder)
    first.folder.with_name("one-made-by.json").unlink()
    with pytest.raises(InputError, match="two was made with other options"):
        run.make(step(tmp_path, "one", seed=1), second)


def test_a_study_may_be_moved_and_adapters_put_there_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").mkdir()
    Commands(tmp_path / "old").make(step(tmp_path / "old", "one"))
    (tmp_path / "old").rename(tmp_path / "new")
    by_hand = tmp_path / "new" / "two"
    by_hand.mkdir()
    (by_hand / "model.safetensors").touch()
    monkeypatch.chdir(tmp_path / "new")
    moved = Commands(Path())
    moved.make(step(Path(), "one"), step(Path(), "two"))
    assert moved.lines == []


def test_a_training_goes_on_from_its_checkpoints_and_else_begins_again(tmp_path: Path) -> None:
    run = Commands(tmp_path)
    checkpoint = tmp_path / "one-run" / "checkpoint-5"
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text("{}")
    (tmp_path / "two-run" / "checkpoint-5").mkdir(parents=True)  # of which half was written
    (tmp_path / "two-run" / "log.jsonl").touch()
    run.make(step(tmp_path, "one"), step(tmp_path, "two"))
    assert ["--resume" in line for line in run.lines] == [True, False]
    assert not (tmp_path / "two-run" / "log.jsonl").exists()


def test_a_step_that_failed_ends_the_study(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one failed"):
        Commands(tmp_path, status=2).make(step(tmp_path, "one"))
    with pytest.raises(KeyboardInterrupt):
        Commands(tmp_path, status=130).make(step(tmp_path, "one"))


def test_records_with_a_finders_scores(tmp_path: Path) -> None:
    documents = (Document("The bridge fell.", relevant=True), Document("A river."))
    write_records([Record("1", "Which bridge?", ("x",), documents)], tmp_path / "train.jsonl")
    run = Commands(tmp_path)
    run.make(step(tmp_path, "one", "bm25"))
    copy, weight = run.lines[0][run.lines[0].index("--data") + 1].rsplit(":", 1)
    assert weight == "2"
    (read,) = read_records(copy)
    assert read.documents[0].scores["bm25"] > read.documents[1].scores["bm25"]
    assert read.documents[0].relevant
    other = tmp_path / "other"
    other.mkdir()
    write_records([Record("2", "Which river?", ("x",), documents)], other / "train.jsonl")
    run.make(Step(tmp_path / "two", ("train",), ((other / "train.jsonl", 1.0),), "bm25"))
    (read,) = read_records(run.lines[1][run.lines[1].index("--data") + 1])
    assert read.id == "2"


def test_no_two_names_become_one_folder() -> None:
    assert file_name("60-records") == "60-records"
    names = {file_name(name) for name in ("Qwen/Qwen3", "Qwen-Qwen3", "Qwen Qwen3", "noise:0.5", "noise-0.5")}
    assert len(names) == 5
