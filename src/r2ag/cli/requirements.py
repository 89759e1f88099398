"""Packages that only some commands need."""

from __future__ import annotations

from importlib.util import find_spec

from r2ag.errors import InputError


def need_training() -> None:
    """Raises InputError where the packages of the extra `train` are missing."""
    missing = [package for package in ("accelerate", "datasets") if find_spec(package) is None]
    if missing:
        raise InputError(f"Training needs {' and '.join(missing)}; install with: pip install 'r2ag[train]'")
