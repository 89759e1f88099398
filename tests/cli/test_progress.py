from __future__ import annotations

import pytest

from r2ag.cli.progress import IndexProgress
from r2ag.store import Progress


def test_the_time_left_is_told_though_steps_are_a_minute_apart() -> None:
    progress = IndexProgress()
    bars = progress._bars
    for step in (1, 2, 3):
        bars.get_time = lambda step=step: 60.0 * step
        progress(Progress(10 * step, 100))
    assert bars.tasks[0].time_remaining == pytest.approx(420)


def test_no_bar_where_nothing_is_to_be_read() -> None:
    progress = IndexProgress()
    (task,) = progress._bars.tasks
    assert not task.visible
    progress(Progress(0, 100))
    assert task.visible
