"""Text from any server with OpenAI's chat API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from r2ag.io.http import APIClient
from r2ag.method.prompting import PromptTemplate
from r2ag.types import Document


@dataclass(frozen=True)
class Completion:
    """A text, and the tokens that the server counted; 0 if it counts none."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ChatAPI(APIClient):
    """A server's model that completes one message at a time, at temperature 0. Arguments are those of APIClient."""

    patience = 300.0  # large models take minutes for long answers

    @property
    def name(self) -> str:
        """The model and its server."""
        return f"{self.model} at {self.url}"

    def complete(self, text: str, max_new_tokens: int) -> Completion:
        """The model's answer to a user's message.

        Raises:
            EngineError: the server can't be reached, is silent, refuses, or answers with something else.
        """
        sent = text.encode("utf-8", "replace").decode()
        request = {"messages": [{"role": "user", "content": sent}], "max_tokens": max_new_tokens, "temperature": 0}
        return self.soon(self.ask("chat/completions", request, _completion, "a message")).result()

    def answer(
        self, template: PromptTemplate, question: str, documents: Sequence[Document], max_new_tokens: int
    ) -> Completion:
        """The model's answer to a prompt without slots, which is sent as one message.

        Raises:
            EngineError: see `complete`.
        """
        completion = self.complete(as_text(template, question, documents), max_new_tokens)
        # A chat model may repeat the cue, and write more than was asked for.
        text = completion.text.removeprefix(template.answer_cue).strip()
        text = text.partition(template.stop)[0].strip() if template.stop else text
        return replace(completion, text=text)


def _completion(answer: Any) -> Completion:
    content = answer["choices"][0]["message"]["content"] or ""
    if not isinstance(content, str):
        raise TypeError
    counted = answer.get("usage") or {}
    tokens = [int(counted.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    return Completion(content.strip(), *tokens)


def as_text(template: PromptTemplate, question: str, documents: Sequence[Document]) -> str:
    """A prompt as plain text, without slots."""
    read = "".join(
        template.document.replace("{number}", str(number)).replace("{slots}", "").replace("{document}", d.passage)
        for number, d in enumerate(documents, start=1)
    )
    head, tail = (part.replace("{question}", question) for part in (template.head, template.tail))
    return head + read + tail + template.answer_cue
