"""What writes the answers, as the options say it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from r2ag.errors import InputError


class EngineName(StrEnum):
    """What --engine takes."""

    TRANSFORMERS = "transformers"
    VLLM = "vllm"


Engine = Annotated[
    EngineName,
    typer.Option("--engine", help="What the LLM runs in: this process, or the vLLM server that --engine-url names."),
]
EngineUrl = Annotated[
    str | None,
    typer.Option(
        "--engine-url",
        metavar="URL",
        help="A vLLM server with --enable-prompt-embeds, as in http://127.0.0.1:8001/v1; its key is taken from "
        "OPENAI_API_KEY.",
        show_default="none",
    ),
]


def check_engine(engine: EngineName, url: str | None) -> str | None:
    """The vLLM server's address; None for this process.

    Raises:
        InputError: the two don't go together.
    """
    if engine is EngineName.VLLM and not url:
        raise InputError("--engine vllm needs the server's address; add --engine-url, as in http://127.0.0.1:8001/v1.")
    if engine is EngineName.TRANSFORMERS and url:
        raise InputError("--engine-url is for --engine vllm; add that, or leave the address out.")
    return url
