"""scripts/imports.py, which `make lint` runs: no circle of imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def checked(source: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "imports.py"), str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def package(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = folder / "r2ag" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def test_the_package_has_no_circle_and_its_method_imports_types_and_errors_alone() -> None:
    finished = checked(ROOT / "src")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "method: errors, types" in finished.stdout.splitlines()


FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from r2ag.b import B"
IN_A_FUNCTION = "def f():\n    from r2ag.a import x"
ROOMS = {"a/one.py": "from r2ag.b import one", "b/one.py": "", "b/two.py": "from r2ag.a.two import x", "a/two.py": ""}


@pytest.mark.parametrize(
    "files",
    [{"a.py": "import r2ag.b", "b.py": IN_A_FUNCTION}, ROOMS, {"a.py": FOR_TYPES, "b.py": "import r2ag.a"}],
    ids=["in a function", "between rooms alone", "for types alone"],
)
def test_a_circle_is_named(tmp_path: Path, files: dict[str, str]) -> None:
    finished = checked(package(tmp_path, files))
    assert finished.returncode == 1
    assert "Imports run in a circle: r2ag." in finished.stderr
    assert all(room in finished.stderr for room in ("r2ag.a", "r2ag.b"))
