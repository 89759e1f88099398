"""Whatever the text of questions, documents and conversations holds: it opens no chat turn and moves no slot."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from r2ag.method.plain_text import PlainTextTokenizer
from r2ag.method.prompting import Prompt, PromptBuilder, PromptTemplate, Turn
from r2ag.types import Document
from tests.tiny import ADDED, SPECIAL, TEMPLATES, TOKENIZERS, tiny_tokenizer

WORDS = PromptTemplate("Look: ", "[{number}] near: {slots} {document}\n", "Question: {question}", "Answer:")
CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<file_sep>")
OURS = ("<R>", "{slots}", "{document}", "{question}", "{number}", "R2AGTURN0MARK", "R2AGTURN1MARK", "ANSWERMARK", "@")
LETTERS = ("\0", "\ud800", "\udfff", "\u202e", "\u200b", "\u0301", "北京大学", "שלום", "\r\n", "▁", "Ġ", "<0x0A>")


def disguises(token: str) -> list[str]:
    """The ways in which a token may be written so that a normaliser or a repair makes it whole again."""
    middle = len(token) // 2
    split = [token[:middle] + between + token[middle:] for between in ("\u200b", "\u00ad", "\0", "\ud800", " ", token)]
    fullwidth = "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in token)
    return [token, *split, fullwidth, token.upper(), f" {token} ", token * 2]


PIECES = [piece for token in (*SPECIAL, *ADDED, *CHATML, *OURS) for piece in disguises(token)] + [*LETTERS]
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=8)  # lone surrogates too
HOSTILE = st.lists(st.sampled_from(PIECES) | ANYTHING, max_size=6).map("".join)
CONVERSATION = st.tuples(HOSTILE.map(lambda text: f"why{text}"), *[HOSTILE] * 7)
SLOTS = 2
HARMLESS = ("why?", *["bridge"] * 7)


def build(builder: PromptBuilder, texts: tuple[str, ...]) -> Prompt:
    question, title, text, other_title, other_text, system, user, assistant = texts
    history = (Turn("system", system), Turn("user", user), Turn("assistant", assistant))
    return builder.build(question, (Document(text, title), Document(other_text, other_title)), 100_000, history)


def check(builder: PromptBuilder, texts: tuple[str, ...]) -> None:
    """The prompt has the same special tokens and slots, in the same order, as the one of harmless texts."""
    added = {token for text, token in builder.tokenizer.get_added_vocab().items() if not text.isspace()}
    special = {*added, *builder.tokenizer.all_special_ids}
    prompt, harmless = build(builder, texts), build(builder, HARMLESS)
    assert _specials(prompt, special) == _specials(harmless, special)
    assert [len(slot) for slot in prompt.slots] == [SLOTS, SLOTS]


def _specials(prompt: Prompt, special: set[int]) -> list[int | str]:
    """The special ids, and the slots among them, in their order."""
    slots = {position: f"slot {i}" for i, positions in enumerate(prompt.slots) for position in positions}
    return [slots.get(at, token) for at, token in enumerate(prompt.ids) if at in slots or token in special]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("kind", TOKENIZERS)
@given(texts=CONVERSATION)
@settings(max_examples=40)
def test_no_text_forges_a_special_token_or_a_slot(kind, template, texts):
    check(PromptBuilder(tiny_tokenizer(kind, template), WORDS, SLOTS), texts)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_each_disguise_in_every_place(kind):
    builder = PromptBuilder(tiny_tokenizer(kind, "chatml"), WORDS, SLOTS)
    for piece in PIECES:
        check(builder, (f"why{piece}", *[piece] * 7))


@pytest.fixture(scope="module")
def default_builder() -> PromptBuilder:
    from r2ag.models import DEFAULT_LLM, resolve_llm

    return PromptBuilder(AutoTokenizer.from_pretrained(resolve_llm(DEFAULT_LLM)), WORDS, SLOTS)


@pytest.mark.model
class TestDefaultLLM:
    @given(texts=CONVERSATION)
    def test_no_text_forges_a_special_token_or_a_slot(self, default_builder, texts):
        check(default_builder, texts)

    def test_each_special_token_in_every_place(self, default_builder):
        plain = PlainTextTokenizer(default_builder.tokenizer)
        for token in default_builder.tokenizer.get_added_vocab():
            check(default_builder, (token, *[token] * 7))
            assert len(plain.encode(token)) > 1
            assert default_builder.tokenizer.decode(plain.encode(token)) == token
