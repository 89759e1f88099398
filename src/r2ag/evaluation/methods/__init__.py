"""The methods that an evaluation compares, and what it knows of each. Importing this loads none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from r2ag.errors import InputError
from r2ag.types import RankedList

if TYPE_CHECKING:
    from r2ag.evaluation.methods.bench import Bench

METHODS = {
    "rag": "rag.rag",
    "rag-topn": "rag.rag_topn",
    "cot": "rag.cot",
    "cutoff": "rag.cutoff",
    "rerank": "rag.rerank",
    "recomp": "recomp.create",
    "longllmlingua": "longllmlingua.create",
    "crag": "crag.create",
    "self-rag": "self_rag.create",
    "self-rag-prompted": "self_rag.prompted",
    "learned-tokens": "r2ag.control",
    "r2ag": "r2ag.create",
    "r2ag-permuted": "r2ag.create",
    "r2ag-gold": "r2ag.create",
    "r2ag+prune": "r2ag.create",
    "r2ag+top": "r2ag.create",
    "r2ag+abstain": "r2ag.create",
    "r2ag-words": "r2ag.words",
    "xrag": "r2ag.control",
    "raft": "rag.raft",
    "r2ag+raft": "r2ag.create",
}
"""Method names, and the functions that make them by their module in this folder."""

APPROXIMATIONS = {
    "cot": "reasons and answers in one generation, within everybody's limit of new tokens",
    "recomp": "chooses sentences by any encoder; faithful with the authors' fine-tuned one, or with their compressor",
    "longllmlingua": "the authors' library; the LLM itself gives the perplexities",
    "crag": "graded by the relevance head or a cross-encoder, and without a web search",
    "xrag": "one projector trained on answers alone, from this encoder's vectors, without the paper's first stage",
    "self-rag-prompted": "asks in words for what Self-RAG's trained tokens say",
}
"""In what methods differ from the published ones whose names they have; docs/methods.md says more."""


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


def parse_methods(texts: Sequence[str]) -> list[Spec]:
    """Specifications of the form NAME[:ARGUMENT][=FOLDER].

    Results leave out the folder where the rest tells a method from the others.

    Raises:
        InputError: there is none, one is named twice, or a name is unknown; lists those there are.
    """
    specs = [Spec.parse(text) for text in texts]
    if not specs:
        raise InputError(f"No method is named; choose from {', '.join(METHODS)}.")
    for spec in specs:
        if spec.base not in METHODS:
            raise InputError(f"There is no method {spec.base!r}; choose from {', '.join(METHODS)}.")
        if specs.count(spec) > 1:
            raise InputError(f"The method {spec} is named twice; name it once.")
    names = [spec.name for spec in specs]
    return [replace(spec, name=str(spec)) if names.count(spec.name) > 1 else spec for spec in specs]


def create_method(spec: Spec, bench: Bench) -> Method:
    """Makes a method ready to answer.

    Raises:
        InputError: its argument or its adapter can't be used.
    """
    module, _, function = METHODS[spec.base].partition(".")
    create = getattr(import_module(f"{__name__}.{module}"), function)
    return cast("Method", create(spec, bench))
