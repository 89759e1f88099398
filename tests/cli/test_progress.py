from __future__ import annotations

import pytest

from r2ag.cli.progress import ProgressBar


def test_the_time_left_is_told_though_steps_are_a_minute_apart() -> None:
    progress = ProgressBar()
    for step in (1, 2, 3):
        progress._bars.get_time = lambda step=step: 60.0 * step
        progress("Indexing", 10 * step, 100)
    assert progress._bars.tasks[0].time_remaining == pytest.approx(420)


def test_no_bar_where_nothing_is_to_be_done() -> None:
    progress = ProgressBar()
    assert not progress._bars.tasks
    progress("Indexing", 0, 100)
    assert len(progress._bars.tasks) == 1


def test_what_comes_after_a_full_bar_gets_its_own() -> None:
    progress = ProgressBar("records")
    for what, done in (("rag", 1), ("rag", 2), ("rag", 2), ("r2ag", 1)):
        progress(what, done, 2)
    assert [(task.description, task.completed) for task in progress._bars.tasks] == [("rag", 2), ("r2ag", 1)]


def test_a_name_may_change_while_the_bar_is_filled() -> None:
    progress = ProgressBar("passages")
    for number in (1, 2):
        progress(f"{number} questions kept", number, 3)
    assert [(task.description, task.completed) for task in progress._bars.tasks] == [("2 questions kept", 2)]


def test_without_a_terminal_lines_come_now_and_then_and_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [0.0]
    monkeypatch.setattr("r2ag.cli.progress.time.monotonic", lambda: seconds[0])
    with ProgressBar("records") as progress:
        progress._bars.get_time = lambda: seconds[0]
        for number in range(1, 9):
            seconds[0] += 10
            progress("rag", number, 8)
    assert capsys.readouterr().err.splitlines() == [
        "rag: 3 of 8 records, 50 s left",
        "rag: 6 of 8 records, 20 s left",
        "rag: 8 of 8 records",
    ]
    with ProgressBar() as progress:
        progress._bars.get_time = lambda: seconds[0]
        for megabytes in (0, 1, 2):
            progress("Indexing", megabytes * 1_000_000, 2_000_000)
            seconds[0] += 20
    assert capsys.readouterr().err == "Indexing: 2.0 of 2.0 MB\n"
