"""Methods without slots, answered by a server's LLM: `NAME=MODEL@URL`, as in rag=gpt-4o@https://host/v1.

The server's LLM is not the others', and counts its own tokens; it gets each prompt as one message.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from r2ag.engines.chat_api import ChatAPI
from r2ag.evaluation.methods.base import Prediction, Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.refined import Refine
from r2ag.method.prompting import PromptTemplate
from r2ag.types import RankedList


@dataclass(frozen=True)
class RemoteRefined:
    """As Refined, by a server; one request after another."""

    name: str
    api: ChatAPI
    template: PromptTemplate
    max_new_tokens: int
    settings: Mapping[str, Any]
    refine: Refine

    def answer(self, lists: Sequence[RankedList]) -> list[Prediction]:
        """Refining and waiting are part of the time."""
        return [self._answer(ranked) for ranked in lists]

    def _answer(self, ranked: RankedList) -> Prediction:
        started = time.perf_counter()
        refinement = self.refine(ranked)
        said = self.api.answer(self.template, ranked.question, refinement.documents, self.max_new_tokens)
        seconds = time.perf_counter() - started
        return Prediction(said.text, said.prompt_tokens, said.completion_tokens, seconds, refinement.documents_read)


def remote(
    spec: Spec,
    bench: Bench,
    refine: Refine,
    settings: Mapping[str, Any],
    template: PromptTemplate,
    model: str,
    url: str,
) -> RemoteRefined:
    """By a server's model; `settings` are what refining depends on.

    Raises:
        InputError: the address can't be used.
    """
    api = ChatAPI(url, model)
    known = {"llm": api.name, "max_new_tokens": bench.max_new_tokens, "method": [spec.base, spec.argument]}
    known["template"] = asdict(template)
    return RemoteRefined(spec.name, api, template, bench.max_new_tokens, known | dict(settings), refine)
