"""Text from any server with OpenAI's chat API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import httpx

from r2ag.errors import InputError
from r2ag.io.http import FIRST_PAUSE_SECONDS, Endpoint
from r2ag.method.prompting import PromptTemplate
from r2ag.types import Document

# Long answers of large models take their time.
TIMEOUT = httpx.Timeout(300.0, connect=10.0)


@dataclass(frozen=True)
class Completion:
    """A text, and the tokens that the server counted; 0 where it counts none."""

    text: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ChatAPI:
    """A server's model that completes one message at a time, as deterministically as the server does."""

    def __init__(
        self,
        url: str,
        model: str,
        timeout: httpx.Timeout | float = TIMEOUT,
        first_pause: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        """`url` ends where "/chat/completions" follows, as in http://localhost:11434/v1.

        Raises:
            InputError: it is no http or https address, or OPENAI_API_KEY can't be sent.
        """
        self._endpoint = Endpoint(url, "chat/completions", model, timeout, first_pause)
        self.name = f"{model} at {url}"

    def complete(self, text: str, max_new_tokens: int) -> Completion:
        """What the model answers to a message of a user.

        Raises:
            InputError: the server can't be reached, refuses, or answers with something else.
        """
        sent = text.encode("utf-8", "replace").decode()
        request = {"messages": [{"role": "user", "content": sent}], "max_tokens": max_new_tokens, "temperature": 0}
        body = self._endpoint.post(request)
        try:
            answer = json.loads(body)
            content = answer["choices"][0]["message"]["content"] or ""
            counted = answer.get("usage") or {}
            tokens = [int(counted.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
            if not isinstance(content, str):
                raise TypeError
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            raise InputError(
                f"{self._endpoint.url} did not answer with a message; check that it is an OpenAI-compatible server."
            ) from None
        return Completion(content.strip(), *tokens)

    def answer(
        self, template: PromptTemplate, question: str, documents: Sequence[Document], max_new_tokens: int
    ) -> Completion:
        """What the model answers to a prompt without slots, which it gets as one message.

        Raises:
            InputError: see `complete`.
        """
        completion = self.complete(as_text(template, question, documents), max_new_tokens)
        # A chat model may say the cue again, and more than was asked for.
        text = completion.text.removeprefix(template.answer_cue).strip()
        text = text.partition(template.stop)[0].strip() if template.stop else text
        return replace(completion, text=text)


def as_text(template: PromptTemplate, question: str, documents: Sequence[Document]) -> str:
    """A prompt as plain text, without slots."""
    read = "".join(
        template.document.replace("{number}", str(number)).replace("{slots}", "").replace("{document}", d.passage)
        for number, d in enumerate(documents, start=1)
    )
    head, tail = (part.replace("{question}", question) for part in (template.head, template.tail))
    return head + read + tail + template.answer_cue
