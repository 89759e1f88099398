"""Text that looks like an added or special token is read as letters."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer, normalizers
from transformers import PreTrainedTokenizerFast

from r2ag.method.plain_text import PlainTextTokenizer
from tests.tiny import ADDED, SPECIAL, TOKENIZERS, tiny_tokenizer


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("token", [token for token in (*SPECIAL, *ADDED) if token != "<unk>"])
def test_what_looks_like_a_token_is_still_read_as_letters(kind, token):
    tokenizer = tiny_tokenizer(kind)
    assert tokenizer.convert_tokens_to_ids(token) in tokenizer.encode(f"old{token}town")
    ids = PlainTextTokenizer(tokenizer).encode(f"old{token}town")
    kept = tokenizer.decode(ids)
    if kind == "wordpiece":  # drops spaces and line breaks, as BERT does
        kept, token = kept.replace(" ", ""), token.strip()
    assert kept == f"old{token}town"


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_the_unknown_token_never_comes_out(kind):
    tokenizer = tiny_tokenizer(kind)
    ids = PlainTextTokenizer(tokenizer).encode("old 北京大学 \U0001f309 <unk> town")
    assert tokenizer.unk_token_id not in ids
    assert {"old", "town"} <= set(tokenizer.decode(ids).replace("town", " town ").split())


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_what_no_tokenizer_takes_is_replaced(kind):
    plain = PlainTextTokenizer(tiny_tokenizer(kind))
    assert plain.encode("old\0 \ud800town") == plain.encode("old\ufffd ?town")


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_text_without_such_tokens_is_tokenised_as_ever(kind):
    tokenizer = tiny_tokenizer(kind)
    text = "Title: A history of bridges\nBuilt in 1471, it fell in 1802."
    begun = f" {text}" if kind in ("llama", "unigram") else text  # sentencepiece's own space
    assert PlainTextTokenizer(tokenizer).encode(begun) == tokenizer.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("text", ["old\ntown", "old\n\ntown\n", "\n"])
def test_line_breaks_are_read_where_they_are_added_tokens_as_in_gemma(text):
    tokenizer = tiny_tokenizer("llama")
    description = json.loads(tokenizer.backend_tokenizer.to_str())
    description["model"]["vocab"]["\n"] = len(tokenizer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(description)))
    tokenizer.add_tokens(["\n"])
    assert tokenizer.decode(PlainTextTokenizer(tokenizer).encode(text)).lstrip(" ") == text


def llama2_tokenizer() -> PreTrainedTokenizerFast:
    """The tiny one with Llama 2's own normalizer, which puts the space before a text."""
    backend = Tokenizer.from_str(tiny_tokenizer("llama").backend_tokenizer.to_str())
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.pre_tokenizer = None
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


@pytest.mark.parametrize("made", [llama2_tokenizer, lambda: tiny_tokenizer("llama"), lambda: tiny_tokenizer("unigram")])
def test_pieces_get_no_space_of_their_own(made):
    plain = PlainTextTokenizer(made())
    assert plain.encode("town") != plain.encode(" town")
    pieces = ["The old", " town", "\n", "[1] bridge"]
    ids = [token for piece in pieces for token in plain.encode(piece)]
    read = "".join(made().convert_ids_to_tokens(ids)).replace("▁", " ").replace("<0x0A>", "\n")
    assert read == "".join(pieces)
