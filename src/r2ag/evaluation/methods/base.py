"""What an evaluation knows of a method: its name, its settings and its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from r2ag.errors import InputError
from r2ag.types import RankedList

if TYPE_CHECKING:
    from r2ag.encoder.encoder import FeatureEncoder


@dataclass(frozen=True)
class Prediction:
    """One answer with what it cost.

    `prompt_tokens` and `completion_tokens` are of all prompts that the LLM answered for it; what else a method reads
    costs `seconds` only, which are the batch's divided by its size.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    documents_read: int
    abstained: bool = False


class Method(Protocol):
    """Answers lists of documents. All methods decode greedily with the same limit of new tokens."""

    @property
    def name(self) -> str:
        """What results call it."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """All that its answers depend on beside the lists; equal settings give equal answers."""

    def answer(self, lists: Sequence[RankedList]) -> list[Prediction]:
        """One prediction a list, read as one batch."""


def described(lists: Sequence[RankedList], encoder: FeatureEncoder | None) -> Sequence[RankedList]:
    """Lists with the vectors of another encoder; unchanged without one.

    This does not count as a method's time: a store would hold these vectors.
    """
    return lists if encoder is None else [encoder.describe(ranked.question, ranked.documents) for ranked in lists]


@dataclass(frozen=True)
class Spec:
    """A method as it is asked for: BASE[:ARGUMENT][=FOLDER], and the name that results give it.

    The folder is an adapter's or, for methods that need another model, that model's; a hub name does as well. For
    methods that closed LLMs can answer by it is MODEL@URL, a model of an OpenAI-compatible server.
    """

    base: str
    argument: str
    folder: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Takes a specification apart; the name is all but the adapter."""
        label, _, folder = text.strip().partition("=")
        base, _, argument = label.partition(":")
        return cls(base, argument, folder, label)

    def __str__(self) -> str:
        label = f"{self.base}:{self.argument}" if self.argument else self.base
        return f"{label}={self.folder}" if self.folder else label

    def count(self) -> int:
        """The argument as a number of documents.

        Raises:
            InputError: it is no whole number from 1.
        """
        if not self.argument.isdecimal() or int(self.argument) < 1:
            raise InputError(f"The method {self} needs a number of documents from 1, as in {self.base}:3.")
        return int(self.argument)

    def optional_count(self) -> int | None:
        """The number of documents, or None where nothing is behind the name, which means all.

        Raises:
            InputError: the argument is no whole number from 1.
        """
        return self.count() if self.argument else None

    def share(self) -> float:
        """The argument as a share: a probability, a cosine.

        Raises:
            InputError: it is no number from 0 to 1.
        """
        try:
            value = float(self.argument)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise InputError(f"The method {self} needs a number from 0 to 1, as in {self.base}:0.3.")
        return value

    def server(self) -> tuple[str, str] | None:
        """A server's model and its address, where the folder is MODEL@URL; none where it is a folder."""
        model, at, url = self.folder.partition("@")
        return (model, url) if at and url.startswith(("http://", "https://")) else None

    def refuse_argument(self) -> None:
        """Raises InputError where an argument was given."""
        if self.argument:
            raise InputError(f"The method {self.base} takes nothing behind a colon; leave out :{self.argument}.")
