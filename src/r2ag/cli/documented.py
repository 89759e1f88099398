"""Commands whose docstrings are their help."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand


class DocumentedCommand(TyperCommand):
    """A command with a docstring of parts: what it does, `Args:` about its options, and `Examples:`, one a line.

    An option that the docstring does not name keeps the help that it was made with.
    """

    def __init__(self, **settings: Any) -> None:
        text, _, examples = (settings.pop("help") or "").partition("\n\nExamples:\n")
        text, _, about_options = text.partition("\n\nArgs:\n")
        described = dict(re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", about_options, flags=re.MULTILINE))
        for parameter in settings["params"]:
            if parameter.name in described:
                parameter.help = _joined(described[parameter.name])
        settings["epilog"] = "\n\n".join(["Examples:", *map(str.strip, examples.splitlines())])
        super().__init__(help="\n\n".join(map(_joined, text.split("\n\n"))), **settings)


def _joined(text: str) -> str:
    """A paragraph as one line, which the terminal breaks again."""
    return " ".join(text.split())
