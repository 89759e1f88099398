"""The prompts: R²AG's own, and the families among which plain RAG chooses its best on training records."""

from __future__ import annotations

from dataclasses import replace

from r2ag.errors import InputError
from r2ag.prompting import PromptTemplate

R2AG = PromptTemplate(
    head=(
        "Answer the question from the search results below. Some of them may be irrelevant. Give only the answer, in a "
        "few words. In front of each result stands information on how well it matches the question.\n"
    ),
    document="\n[{number}] Match:{slots} {document}\n",
    tail="\nGive only the answer, in a few words.\nQuestion: {question}\nAnswer:",
)

_SEARCH_RESULTS = "Answer the question from the search results below. Some of them may be irrelevant. "
_BRIEF = "Give only the answer, in a few words."
_EXAMPLES = (
    ("Which metal is liquid at room temperature?", "mercury"),
    ("Who painted the ceiling of the Sistine Chapel?", "Michelangelo"),
    ("Is the Danube longer than the Thames?", "yes"),
    ("In which year did the Berlin Wall fall?", "1989"),
)


def without_slots(template: PromptTemplate) -> PromptTemplate:
    """Plain RAG's counterpart of an R²AG template: no slots and no label in front of them."""
    return replace(
        template,
        head=template.head.replace(
            " In front of each result stands information on how well it matches the question.", ""
        ),
        document=template.document.replace(" Match:{slots}", "").replace("{slots}", ""),
    )


def _shots(count: int) -> str:
    return "".join(f"Question: {question}\nAnswer: {answer}\n\n" for question, answer in _EXAMPLES[:count])


def _families() -> dict[str, PromptTemplate]:
    document = "\n[{number}] {document}\n"
    chat = {
        "question-last": PromptTemplate(
            _SEARCH_RESULTS + _BRIEF + "\n", document, f"\n{_BRIEF}\nQuestion: {{question}}\nAnswer:"
        ),
        "question-first-and-last": PromptTemplate(
            f"Question: {{question}}\n{_SEARCH_RESULTS}{_BRIEF}\n", document, f"\n{_BRIEF}\nQuestion: {{question}}"
        ),
        "short-answer": PromptTemplate(
            "", document, "\nAnswer in one to five words, copied from the text above, without a sentence. {question}"
        ),
        "one-shot": PromptTemplate(
            f"{_SEARCH_RESULTS}{_BRIEF}\n\n{_shots(1)}", document, "\nQuestion: {question}\nAnswer:"
        ),
        "few-shot": PromptTemplate(
            f"{_SEARCH_RESULTS}{_BRIEF}\n\n{_shots(4)}", document, "\nQuestion: {question}\nAnswer:"
        ),
    }
    plain = {f"{name}-plain": replace(template, chat=False) for name, template in chat.items()}
    plain["question-first-and-last-plain"] = replace(
        plain["question-first-and-last-plain"], tail="\nQuestion: {question}\nAnswer:"
    )
    plain["short-answer-plain"] = replace(
        plain["short-answer-plain"], tail="\nQuestion: {question}\nAnswer in one to five words:"
    )
    return chat | plain


PLAIN_FAMILIES = _families()
DEFAULT_PLAIN = "question-last"


def plain_template(name: str) -> PromptTemplate:
    """A family of plain RAG's prompts by name.

    Raises:
        InputError: there is none of that name; lists those there are.
    """
    if name not in PLAIN_FAMILIES:
        raise InputError(f"There is no prompt family {name}; choose one of {', '.join(PLAIN_FAMILIES)}.")
    return PLAIN_FAMILIES[name]
