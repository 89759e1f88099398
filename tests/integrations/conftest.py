"""Tiny pipelines that the frameworks ask, and a sample that only real models can answer."""

from __future__ import annotations

import pytest

from r2ag.pipeline import Pipeline
from tests.cli.conftest import r2ag, tiny
from tests.test_pipeline import QUESTION, new_pipeline
from tests.tiny import some_documents

__all__ = ["QUESTION", "r2ag", "tiny"]


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    """Holds six documents and never abstains."""
    pipeline = new_pipeline()
    pipeline.add(some_documents(6))
    return pipeline


@pytest.fixture(scope="session")
def abstaining() -> Pipeline:
    """Holds six documents, none of which passes for relevant."""
    pipeline = new_pipeline(threshold=1.0)
    pipeline.add(some_documents(6))
    return pipeline
