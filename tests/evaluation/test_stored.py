"""Answers that were kept by an earlier version are found again: their digests stay what they were."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from r2ag.evaluation.stored import digest_of
from r2ag.method.prompting import PromptTemplate
from r2ag.types import Document, RankedList
from tests.evaluation.conftest import Parts

DOCUMENTS = (Document("It fell.", "Bridge"), Document("It rains.", scores={"bm25": 1.5}))
RANKED = RankedList("Which?", DOCUMENTS, np.zeros(2, np.float32), np.zeros((2, 2), np.float32))
WEIGHTS = ("llm", "encoder", "adapter", "compressor", "relevance", "evaluator")
"""Settings that name a model by its weights, which may be drawn otherwise elsewhere."""
KNOWN = {
    "rag": "50e63a1c",
    "rag:few-shot": "6dafec14",
    "rag-topn:3": "f800b4d2",
    "cot": "8b31dbd5",
    "cutoff:0.3": "7775a081",
    "recomp:2": "ca0e5631",
    "crag": "a1741279",
    "self-rag-prompted": "18ccf73d",
    "self-rag-prompted:2": "051a21eb",
    "r2ag": "81981708",
    "r2ag-permuted": "aa0ce74f",
    "r2ag-permuted:2": "111dce17",
    "r2ag+prune": "ed141561",
    "r2ag+prune:0.3": "aa40bcf3",
    "r2ag+top:2": "3fbef0c8",
    "r2ag+abstain": "a0520349",
    "r2ag-words": "8dfd86ad",
}
"""The first letters of digests, by the method."""


def test_a_digest_by_hand() -> None:
    template = asdict(PromptTemplate("Head.\n", "[{number}] {document}\n", "{question}\n"))
    settings = {"llm": "some/llm:0123", "template": template, "top_n": None}
    assert digest_of(settings, RANKED) == "92a5d382ff7e5c5cb698965eda3ddee0"


@pytest.mark.parametrize("spec", KNOWN)
def test_answers_of_earlier_versions_are_still_taken(parts: Parts, spec: str) -> None:
    settings = {name: "weights" if name in WEIGHTS else value for name, value in parts.method(spec).settings.items()}
    assert digest_of(settings, RANKED)[:8] == KNOWN[spec]
