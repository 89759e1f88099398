from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.errors import InputError
from r2ag.method.prompting import Prompt, PromptBuilder, PromptTemplate, Turn
from r2ag.types import Document
from tests.method.test_plain_text import llama2_tokenizer
from tests.tiny import TEMPLATES, TOKENIZERS, some_documents, tiny_tokenizer

R2AG = PromptTemplate(
    head="Answer from these results.\n",
    document="[{number}] similarity: {slots} {document}\n",
    tail="Question: {question}",
    answer_cue="Answer:",
)
RAG = PromptTemplate(head=R2AG.head, document="[{number}] {document}\n", tail=R2AG.tail, answer_cue=R2AG.answer_cue)
QUESTION = "Who built the old bridge?"
EVERYWHERE = pytest.mark.parametrize("kind", TOKENIZERS)


def builder(kind: str = "bytes", template: str = "none", words: PromptTemplate = R2AG, slots: int = 1) -> PromptBuilder:
    return PromptBuilder(tiny_tokenizer(kind, template), words, slots)


def read(built: PromptBuilder, prompt: Prompt) -> str:
    """The prompt's text with `@` where a slot is."""
    decode, starts, text, at = built.tokenizer.decode, {p for slot in prompt.slots for p in slot}, "", 0
    for position in sorted(starts):
        text += decode(prompt.ids[at:position]) + "@"
        at = position + 1
    return text + decode(prompt.ids[at:])


def test_the_order_of_the_parts():
    documents = (Document("Built in 1471.", title="The bridge"), Document("It fell."))
    built = builder()
    assert read(built, built.build(QUESTION, documents, 500)) == (
        "Answer from these results.\n"
        "[1] similarity: @ The bridge\nBuilt in 1471.\n"
        "[2] similarity: @ It fell.\n"
        "Question: Who built the old bridge?Answer:"
    )


def test_inside_a_chat_template():
    built = builder(template="chatml")
    history = (Turn("system", "Be brief."), Turn("user", "hello"), Turn("assistant", "yes"))
    assert read(built, built.build(QUESTION, some_documents(1), 500, history)) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nhello<|im_end|>\n"
        "<|im_start|>assistant\nyes<|im_end|>\n"
        "<|im_start|>user\nAnswer from these results.\n"
        "[1] similarity: @ The bridge number 0 was built in 1400.\n"
        "Question: Who built the old bridge?<|im_end|>\n"
        "<|im_start|>assistant\nAnswer:"
    )


def test_the_chat_template_is_the_tokenizers_own():
    words = PromptTemplate(head="Look: ", document="{document} ", tail="{question}")
    for template in ("chatml", "gemma"):
        built = builder("bytes", template, words)
        prompt = built.build(QUESTION, [Document("It fell.")], 500)
        message = {"role": "user", "content": f"Look: It fell. {QUESTION}"}
        text = built.tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
        assert built.tokenizer.decode(prompt.ids) == text


def test_a_template_that_takes_no_system_turn_gets_its_text_in_the_next_one():
    built = builder("bytes", "gemma", RAG)
    prompt = built.build(QUESTION, (), 500, (Turn("system", "Be brief."),))
    assert built.tokenizer.decode(prompt.ids).startswith("<s><start_of_turn>user\nBe brief.\n\nAnswer from these")


@pytest.mark.parametrize("template", ["gemma", "llama2"])
@pytest.mark.parametrize("roles", [["user"], ["system", "user"], ["assistant"]])
def test_turns_that_the_chat_template_refuses_become_one_sentence(template, roles):
    with pytest.raises(InputError, match=r"chat template refuses these messages .*alternate"):
        builder("bytes", template).build(QUESTION, (), 500, [Turn(role, "hello") for role in roles])


def test_a_template_that_leaves_out_a_message_is_refused():
    tokenizer = builder().tokenizer.__class__(tokenizer_object=builder().tokenizer.backend_tokenizer, eos_token="</s>")
    tokenizer.chat_template = "{{ messages[-1]['content'] }}"
    with pytest.raises(InputError, match="leaves out a message"):
        PromptBuilder(tokenizer, R2AG).build(QUESTION, (), 500, (Turn("user", "a"), Turn("assistant", "b")))


def test_unknown_roles_are_refused():
    with pytest.raises(InputError, match=r"user<\|im_end\|>"):
        Turn("user<|im_end|>", "hello")


@EVERYWHERE
def test_begins_with_bos_where_the_tokenizer_wants_it(kind):
    built = builder(kind)
    begins = built.build(QUESTION, (), 500).ids[0] == built.tokenizer.bos_token_id
    assert begins == (kind in ("llama", "unigram"))


@EVERYWHERE
@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("template", TEMPLATES)
def test_slots_stand_in_front_of_each_document(kind, slots, template):
    built = builder(kind, template, slots=slots)
    documents = some_documents(5)
    prompt = built.build(QUESTION, documents, 1000)
    assert [len(slot) for slot in prompt.slots] == [slots] * 5
    flat = [position for slot in prompt.slots for position in slot]
    assert flat == sorted(set(flat))
    parts = "".join(read(built, prompt).split()).split("@" * slots)
    assert len(parts) == 6
    for number, (before, after) in enumerate(pairwise(parts), start=1):
        assert before.endswith(f"[{number}]similarity:")
        assert f"number{number - 1}wasbuilt" in after


@EVERYWHERE
def test_plain_rag_is_the_same_without_slots(kind):
    prompt = builder(kind, "chatml", RAG, slots=3).build(QUESTION, some_documents(3), 1000)
    assert prompt.slots == ((), (), ())


@EVERYWHERE
@pytest.mark.parametrize("slots", [1, 2])
@given(lengths=st.lists(st.integers(0, 300), min_size=1, max_size=6), spare=st.integers(0, 500))
def test_never_too_long_and_only_documents_are_cut(kind, slots, lengths, spare):
    words = PromptTemplate(R2AG.head, "[{number}] {slots}{document}\n", R2AG.tail)
    built = builder(kind, "chatml", words, slots)
    documents = [Document("bridge " * length) for length in lengths]
    empty = built.build(QUESTION, [Document("")] * len(lengths), 10_000)
    whole = built.build(QUESTION, documents, 10_000)
    limit = len(empty) + len(lengths) + spare
    prompt = built.build(QUESTION, documents, limit)

    texts, whole_texts = document_ids(empty, prompt), document_ids(empty, whole)
    assert whole.shortened == 0
    assert len(prompt) <= limit
    assert all(text == whole_text[: len(text)] for text, whole_text in zip(texts, whole_texts, strict=True))
    cut = [len(text) for text, whole_text in zip(texts, whole_texts, strict=True) if text != whole_text]
    assert prompt.shortened == len(cut)
    if cut:  # evenly, and no more than needed
        assert max(len(text) for text in texts) == min(cut)
        assert limit - len(prompt) < len(cut)
    else:
        assert prompt == whole


def document_ids(empty: Prompt, prompt: Prompt) -> list[tuple[int, ...]]:
    """The ids behind each slot that `empty` doesn't have; all others must be the same in both."""
    ids, texts = list(prompt.ids), []
    for slot, empty_slot in reversed(list(zip(prompt.slots, empty.slots, strict=True))):
        start = slot[-1] + 1
        length = len(ids) - start - (len(empty) - empty_slot[-1] - 1)
        texts.append(tuple(ids[start : start + length]))
        del ids[start : start + length]
    assert tuple(ids) == empty.ids
    return texts[::-1]


def test_without_room_for_the_documents_the_question_is_refused():
    built, documents = builder(), some_documents(3)
    fixed = len(built.build(QUESTION, [Document("")] * 3, 10_000))
    assert len(built.build(QUESTION, documents, fixed + 3)) == fixed + 3
    with pytest.raises(InputError, match=f"take {fixed} tokens of the {fixed + 2} that fit"):
        built.build(QUESTION, documents, fixed + 2)


def test_no_documents_at_all():
    built = builder()
    prompt = built.build(QUESTION, (), 500)
    assert (prompt.slots, prompt.shortened) == ((), 0)
    with pytest.raises(InputError, match="ask a shorter question"):
        built.build(QUESTION, (), len(prompt) - 1)


@pytest.mark.parametrize("question", ["", " \n\t "])
def test_an_empty_question_is_refused(question):
    with pytest.raises(InputError, match="question is empty"):
        builder().build(question, some_documents(1), 500)


def test_a_question_of_a_hundred_thousand_characters_is_refused():
    assert builder().build("a" * 20_000, (), 100_000)
    with pytest.raises(InputError, match="100,000 characters"):
        builder().build("a" * 100_000, some_documents(1), 1_000_000)


def test_the_question_may_stand_first_and_last():
    words = PromptTemplate(head="{question} Look: ", document="({number}) {document}; ", tail="{question}?")
    built = builder(words=words)
    assert read(built, built.build(" why {question} ", [Document("a"), Document("b")], 500)) == (
        "why {question} Look: (1) a; (2) b; why {question}?"
    )


@pytest.mark.parametrize(
    ("head", "document", "tail"),
    [
        ("{name}", "{document}", ""),
        ("", "{document} {score}", ""),
        ("", "{document}", "{document}"),
        ("", "[{number}]", ""),
        ("", "{document} {document}", ""),
        ("", "{slots} {slots} {document}", ""),
        ("", "{document} {slots}", ""),
        ("", "{document} [{number}]", ""),
    ],
)
def test_templates_that_cannot_work_are_refused(head, document, tail):
    with pytest.raises(InputError, match="template"):
        PromptTemplate(head, document, tail)


def test_slots_may_stand_in_place_of_the_texts():
    built = builder(words=PromptTemplate("Look:", " [{number}]{slots};", " {question}"), slots=2)
    prompt = built.build("why?", some_documents(2), 500)
    assert read(built, prompt) == "Look: [1]@@; [2]@@; why?"
    assert prompt.shortened == 0


def test_a_template_may_hold_other_braces():
    built = builder(words=PromptTemplate(head='Answer as {"answer": …}: {', document="{document}", tail="}"))
    assert read(built, built.build("why?", [Document("x")], 500)) == 'Answer as {"answer": …}: {x}'


@pytest.mark.parametrize(
    ("template", "end"), [("chatml", "<|im_end|>"), ("gemma", "<end_of_turn>"), ("llama2", "</s>"), ("none", "</s>")]
)
@EVERYWHERE
def test_targets_end_the_turn_as_the_chat_template_does(kind, template, end):
    built = builder(kind, template)
    target = built.target("a mason")
    assert target[-1] == built.end_of_turn == built.tokenizer.convert_tokens_to_ids(end)
    assert built.tokenizer.decode(target[:-1]).strip() == "a mason"


def test_a_target_follows_the_answer_cue_behind_a_space():
    words = PromptTemplate(R2AG.head, R2AG.document, R2AG.tail)
    assert builder().tokenizer.decode(builder().target("a mason")[:-1]) == " a mason"
    assert builder().tokenizer.decode(builder(words=words).target("a mason")[:-1]) == "a mason"


@EVERYWHERE
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("head", ["Answer from these results.\n", "Question: {question}\nResults:\n", "{question}"])
@given(questions=st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=2))
def test_an_opening_is_the_same_for_every_question(kind, template, head, questions):
    words = PromptTemplate(head, R2AG.document, R2AG.tail, R2AG.answer_cue)
    history = (Turn("user", "hello"), Turn("assistant", "yes"))
    built = builder(kind, template, words)
    for turns in ((), history):
        prompts = [built.build(question, some_documents(2), 5000, turns) for question in questions]
        openings = [prompt.ids[: prompt.opening] for prompt in prompts]
        shorter, longer = sorted(openings, key=len)
        if "{question}" not in head:
            assert shorter == longer
        # A question may happen to go on as the words before it do.
        assert longer[: len(shorter)] == shorter
        assert all(prompt.opening < prompt.slots[0][0] for prompt in prompts)
        known = builder(kind, template, words).build("?", some_documents(1), 5000, turns)
        assert abs(known.opening - len(shorter)) <= 3


def test_what_stands_before_the_documents_is_the_opening():
    built = builder(template="chatml")
    prompt = built.build(QUESTION, some_documents(1), 500)
    opening = "<|im_start|>user\nAnswer from these results.\n"
    assert built.tokenizer.decode(prompt.ids[: prompt.opening]) == opening
    asked = builder(template="chatml", words=PromptTemplate("Asked: {question}\n", "{document}", "Now answer."))
    prompt = asked.build(QUESTION, some_documents(1), 500)
    assert built.tokenizer.decode(prompt.ids[: prompt.opening]).rstrip() == "<|im_start|>user\nAsked:"


def test_spaces_are_where_the_whole_text_has_them() -> None:
    """Sentencepiece puts one before each text that it is given alone, and a prompt is made of many."""
    tokenizer = llama2_tokenizer()
    tokenizer.chat_template = TEMPLATES["llama2"]

    def pieces(ids: Sequence[int]) -> str:
        return "".join(tokenizer.convert_ids_to_tokens(list(ids)))

    builder = PromptBuilder(tokenizer, PromptTemplate("Answer:\n", "[{number}]\n{document}\n", "Which {question}"))
    documents = [Document("The bridge fell."), Document("A river.")]
    prompt = builder.build("town?", documents, 400)
    said = "Answer:\n[1]\nThe bridge fell.\n[2]\nA river.\nWhich town?"
    turns = [{"role": "user", "content": said}, {"role": "assistant", "content": "old town"}]
    whole = tokenizer.encode(tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False)
    found = [*prompt.ids, *builder.target("old town")]
    assert pieces(whole).startswith(pieces(found[:-1]))
    plain = PromptBuilder(tokenizer, replace(builder.template, chat=False, answer_cue="\nAnswer:", stop="\n"))
    found = [*plain.build("town?", documents, 400).ids, *plain.target("old town")]
    assert pieces(found) == pieces(tokenizer.encode(f"{said}\nAnswer: old town\n"))
