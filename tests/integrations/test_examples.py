"""The examples run with the real default models, and the documentation shows them as they are."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDS = {
    "langchain_chain.py": "langchain_core",
    "llama_index_query_engine.py": "llama_index",
    "haystack_pipeline.py": "haystack",
    "mcp_client.py": "mcp",
}


def test_every_example_is_run_and_documented():
    assert {file.name for file in (ROOT / "examples").glob("*.py")} == set(NEEDS)
    page = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
    shown = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert shown == [(ROOT / "examples" / name).read_text(encoding="utf-8") for name in NEEDS]


@pytest.mark.model
@pytest.mark.parametrize("name", NEEDS)
def test_an_example_answers_the_question(name: str, monkeypatch: pytest.MonkeyPatch):
    if find_spec(NEEDS[name]) is None:
        pytest.skip(f"needs {NEEDS[name]}: make test-integrations")
    monkeypatch.setenv("HAYSTACK_TELEMETRY_ENABLED", "False")
    finished = subprocess.run(
        [sys.executable, ROOT / "examples" / name], capture_output=True, text=True, timeout=600, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert "Bentz" in finished.stdout
