"""Text from any server with OpenAI's chat API."""

from __future__ import annotations

import json

import httpx

from r2ag.errors import InputError
from r2ag.remote import FIRST_PAUSE_SECONDS, Endpoint

# Long answers of large models take their time.
TIMEOUT = httpx.Timeout(300.0, connect=10.0)


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

    def complete(self, text: str, max_new_tokens: int) -> str:
        """What the model answers to a message of a user.

        Raises:
            InputError: the server can't be reached, refuses, or answers with something else.
        """
        sent = text.encode("utf-8", "replace").decode()
        request = {"messages": [{"role": "user", "content": sent}], "max_tokens": max_new_tokens, "temperature": 0}
        body = self._endpoint.post(request)
        try:
            content = json.loads(body)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            content = ()
        if not isinstance(content, str | None):
            raise InputError(
                f"{self._endpoint.url} did not answer with a message; check that it is an OpenAI-compatible server."
            )
        return (content or "").strip()
