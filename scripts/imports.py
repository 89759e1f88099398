"""Prints which room of the package imports which, and fails where imports run in a circle.

    python scripts/imports.py [SOURCE]

A room is a folder or a module right below `r2ag`. Imports inside functions and under TYPE_CHECKING count. Two checks:
no circle between modules, and none between rooms.
"""

from __future__ import annotations

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Graph = dict[str, set[str]]


def module_graph(source: Path) -> Graph:
    """Each module below `source` with the modules that it imports."""
    files = {_module_name(file.relative_to(source)): file for file in source.rglob("*.py")}
    return {name: _imported(file, set(files)) - {name} for name, file in files.items()}


def _module_name(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(file: Path, modules: set[str]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            # `from r2ag.io import http` imports a module, `from r2ag.io.http import APIClient` a name of one.
            found |= names & modules or {node.module}
    return found & modules


def room_graph(modules: Graph) -> Graph:
    """The same between rooms."""
    rooms: Graph = {}
    for name, imported in modules.items():
        rooms.setdefault(_room(name), set()).update(_room(other) for other in imported)
    return {room: others - {room} for room, others in rooms.items()}


def _room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def circle(graph: Graph) -> list[str] | None:
    """One circle of the graph, None where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return None


def main(source: Path) -> int:
    """Prints the rooms; 1 where there is a circle."""
    modules = module_graph(source)
    rooms = room_graph(modules)
    for room, others in sorted(rooms.items()):
        print(f"{room.removeprefix('r2ag.')}: {', '.join(sorted(other.removeprefix('r2ag.') for other in others))}")
    circles = [found for graph in (modules, rooms) if (found := circle(graph))]
    for found in circles:
        print(f"Imports run in a circle: {' → '.join(found)}", file=sys.stderr)
    return 1 if circles else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "src")))
