"""Packages that only some commands need."""

from __future__ import annotations

from importlib.util import find_spec

from r2ag.errors import InputError


def need_training() -> None:
    """Raises InputError where the packages of the extra `train` are missing."""
    _need("Training", "train", "accelerate", "datasets", "ir_measures")


def need_evaluation() -> None:
    """Raises InputError where the packages of the extra `eval` are missing."""
    _need("Evaluation", "eval", "ir_measures", "jieba", "rouge_score", "sklearn")


def need_study() -> None:
    """Raises InputError where a package that measures or draws is missing."""
    _need("A study", "eval", "ir_measures", "jieba", "matplotlib", "rouge_score", "sklearn")


def need_ranking() -> None:
    """Raises InputError where the package that measures rankings is missing."""
    _need("Measuring a ranking", "eval", "ir_measures")


def need_server() -> None:
    """Raises InputError where the packages of the extra `serve` are missing."""
    _need("The server", "serve", "fastapi_offline", "prometheus_client", "python_multipart", "uvicorn")


def need_mcp() -> None:
    """Raises InputError where the package of the extra `mcp` is missing."""
    _need("The MCP server", "mcp", "mcp")


def _need(what: str, extra: str, *packages: str) -> None:
    missing = [package.replace("_", "-") for package in packages if find_spec(package) is None]
    if missing:
        raise InputError(f"{what} needs {' and '.join(missing)}; install with: pip install 'r2ag[{extra}]'")
