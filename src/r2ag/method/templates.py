"""The prompts: families among which plain RAG chooses its best on training records, and R²AG's, the same with slots."""

from __future__ import annotations

from dataclasses import replace

from r2ag.errors import InputError
from r2ag.method.prompting import PromptTemplate

_SEARCH_RESULTS = "Answer the question from the search results below. Some of them may be irrelevant. "
_BRIEF = "Give only the answer, in a few words."
_REASON = "Reason briefly, then give the answer."
_THINK = "Let's think step by step."
_MATCH = "In front of each result stands information on how well it matches the question."
_EXAMPLES = (
    ("Which metal is liquid at room temperature?", "mercury"),
    ("Who painted the ceiling of the Sistine Chapel?", "Michelangelo"),
    ("Is the Danube longer than the Thames?", "yes"),
    ("In which year did the Berlin Wall fall?", "1989"),
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
    return chat | {f"{name}-plain": _completion(template) for name, template in chat.items()}


def _completion(template: PromptTemplate) -> PromptTemplate:
    """The same words for an LLM that completes a text: the answer stands on one line behind its cue."""
    tail = template.tail.removesuffix("Answer:").rstrip("\n")
    if "in one to five words" in tail:
        tail = "\nQuestion: {question}\nIn one to five words, copied from the text above."
    elif "Question:" not in tail:
        tail = "\nQuestion: {question}"
    return replace(template, tail=f"{tail}\n", answer_cue="Answer:", chat=False, stop="\n")


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


def thinking(template: PromptTemplate) -> PromptTemplate:
    """Chain of thought's counterpart of plain RAG's prompt: asks for reasoning, and begins it, before the answer."""
    cue = f"{template.answer_cue} {_THINK}".strip()
    head, tail = (part.replace(_BRIEF, _REASON) for part in (template.head, template.tail))
    return replace(template, head=head, tail=tail, answer_cue=cue)


def with_match_words(template: PromptTemplate) -> PromptTemplate:
    """The words of `with_slots` without its slots, for documents that begin with how well they match."""
    return replace(with_slots(template), document=template.document)


def with_slots_alone(template: PromptTemplate) -> PromptTemplate:
    """xRAG's counterpart of plain RAG's prompt: slots in place of each document's text."""
    return replace(template, document=template.document.replace("{document}", "{slots}"))


def with_slots(template: PromptTemplate) -> PromptTemplate:
    """R²AG's counterpart of plain RAG's prompt: a label and slots in front of each document, and a word on them."""
    head = template.head
    head = head.replace(_BRIEF, f"{_BRIEF} {_MATCH}", 1) if _BRIEF in head else f"{_MATCH}\n{head}"
    return replace(template, head=head, document=template.document.replace("{document}", "Match:{slots} {document}"))
