"""Untrusted text to ids of which none is a token that the tokenizer was given beside its model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class PlainTextTokenizer:
    """A tokenizer's model without its added tokens: whatever the text, none of their ids comes out but white space's.

    Text that merely looks like `<|im_end|>` becomes the ids of its letters. Where the model's own vocabulary holds an
    added token (sentencepiece: `<s>`), its letters stand for it; `<unk>` is dropped. White space is text, also where
    it is an added token (Gemma: line breaks, tabs): it can't pass for anything else. No space is put before a text
    (sentencepiece's "▁"): a prompt is made of pieces, and each would get one; the first of all begins with `lead`.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        from tokenizers import Tokenizer

        description = json.loads(tokenizer.backend_tokenizer.to_str())
        description["added_tokens"] = []
        description["post_processor"] = None
        description["truncation"] = None
        description["padding"] = None
        kept = {part: _without_prefix(description[part]) for part in ("normalizer", "pre_tokenizer")}
        self.lead = "" if all(description[part] == step for part, step in kept.items()) else " "
        description |= kept
        self._tokenizer = Tokenizer.from_str(json.dumps(description))
        self._unknown = tokenizer.unk_token_id
        added = {token for text, token in tokenizer.get_added_vocab().items() if not text.isspace()}
        self.forbidden = frozenset(added) | frozenset(tokenizer.all_special_ids)

    def encode(self, text: str) -> list[int]:
        """Ids of the text, with none of `forbidden` among them; NUL bytes and lone surrogates are replaced."""
        if not text:
            return []
        clean = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
        ids: list[int] = []
        for token in self._tokenizer.encode(clean).ids:
            ids += self._letters(token) if token in self.forbidden else [token]
        return ids

    def _letters(self, forbidden: int) -> list[int]:
        if forbidden == self._unknown:
            return []
        tokenize, letters = self._tokenizer.model.tokenize, self._tokenizer.id_to_token(forbidden) or ""
        return [piece.id for letter in letters for piece in tokenize(letter) if piece.id not in self.forbidden]


def _without_prefix(step: dict[str, Any] | None) -> dict[str, Any] | None:
    """A step of a tokenizer, which may hold others, that puts no space before a text; none where that was all."""
    if step is None or step["type"] == "Prepend":
        return None
    if step["type"] == "Metaspace":
        return step | {"prepend_scheme": "never"}
    if step["type"] == "Sequence":
        name = "normalizers" if "normalizers" in step else "pretokenizers"
        return step | {name: [kept for part in step[name] if (kept := _without_prefix(part)) is not None]}
    return step
