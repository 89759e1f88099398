from __future__ import annotations

import pytest
import torch
from hypothesis import settings

settings.register_profile("r2ag", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("r2ag")


@pytest.fixture(autouse=True)
def _one_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a settings file."""
    monkeypatch.setenv("R2AG_SETTINGS", "")
