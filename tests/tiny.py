"""Tiny random LLMs and tokenizers, built on the spot: exact checks with no download."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from r2ag.types import Document

if TYPE_CHECKING:
    from r2ag.adapter.adapter import Adapter
    from r2ag.encoder.encoder import FeatureEncoder

VOCABULARY = 128
HIDDEN = 32

_COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_GROUPED = {"num_key_value_heads": 2, "head_dim": 8}
LLMS: dict[str, dict[str, Any]] = {
    "llama": _GROUPED,
    "mistral": _GROUPED | {"sliding_window": 16},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": _GROUPED,
    "gemma2": _GROUPED | {"sliding_window": 16},
    "gemma3_text": _GROUPED | {"sliding_window": 16},
    "phi3": {"num_key_value_heads": 2},
    "gpt2": {"n_embd": HIDDEN, "n_layer": 2, "n_head": 4, "n_positions": 512},
    "gpt_neox": {},
    "olmo": {"num_key_value_heads": 2},
    "olmo2": {"num_key_value_heads": 2},
}


LINEAR: dict[str, dict[str, Any]] = {
    "mamba": {"state_size": 8},
    "qwen3_next": _GROUPED
    | {"linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4}
    | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32}
    | {"layer_types": ["linear_attention", "full_attention"]},
    "lfm2": {"num_key_value_heads": 2, "layer_types": ["conv", "full_attention"]},
}
"""Families with layers that keep more than keys and values."""


def tiny_llm(family: str = "llama", vocabulary: int = VOCABULARY, seed: int = 0) -> PreTrainedModel:
    """A random two-layer LLM of one of the families in LLMS and LINEAR: fp32, in evaluation mode."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(family, **(_COMMON | (LLMS | LINEAR)[family] | {"vocab_size": vocabulary}))
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set lead = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set lead = '' %}{% endif %}{% for m in messages %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{% if m['role'] == 'user' %}{{ '<s>[INST] ' + (lead if loop.first else '') + m['content'].strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'].strip() + ' </s>' }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ '<s>' }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else 'user') + '\n' + m['content'] | trim"
    " + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
TEMPLATES = {"chatml": CHATML, "llama2": LLAMA2, "gemma": GEMMA, "none": None}
TOKENIZERS = ("bytes", "llama", "unigram", "wordpiece")
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>")
ADDED = ("<tool>", "<plan>", "\n\n")  # neither is special; <plan> is looked for in normalised text


@cache
def tiny_tokenizer(kind: str = "bytes", template: str = "none") -> PreTrainedTokenizerFast:
    """A tokenizer of one of the kinds in TOKENIZERS with one of the chat templates in TEMPLATES.

    "bytes": byte-level BPE (GPT-2, Qwen, SmolLM). "llama": BPE over metaspaces that falls back to bytes. "unigram":
    sentencepiece's unigrams, whose own vocabulary holds the special tokens. "wordpiece": BERT's.
    """
    backend = {"bytes": _bytes, "llama": _llama, "unigram": _unigram, "wordpiece": _wordpiece}[kind]()
    if kind in ("llama", "unigram"):
        backend.post_processor = _begins_with_bos(backend)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    tokenizer.add_tokens([AddedToken("<tool>"), AddedToken("<plan>", normalized=True), AddedToken("\n\n")])
    tokenizer.chat_template = TEMPLATES[template]
    return tokenizer


_SENTENCES = [
    "Which river runs through the old town, and who built the first bridge over it?",
    "[1] The bridge was built in 1471 by a mason; it fell in 1802 and was rebuilt.\n\nAnswer: the mason.",
    "Title: A history of bridges\nThe user asks, the assistant answers. <b>Not everything</b> is relevant here.",
    "system user assistant model [INST] [/INST] <<SYS>> <</SYS>> \n\n\n 0123456789 !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ",
] * 4


def _bytes() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    return _trained(tokenizer, trainers.BpeTrainer(vocab_size=500, initial_alphabet=letters, special_tokens=[*SPECIAL]))


def _llama() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="first")])
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    trained = _trained(tokenizer, trainers.BpeTrainer(vocab_size=600, special_tokens=[*SPECIAL, *fallback]))
    description = json.loads(trained.to_str())
    description["added_tokens"] = [token for token in description["added_tokens"] if token["content"] in SPECIAL]
    return Tokenizer.from_str(json.dumps(description))


# The trainers of these two kinds break ties by chance: their vocabularies are the words and letters themselves.
def _unigram() -> Tokenizer:
    pieces = [f"▁{word}" for word in _words()] + ["▁", *_letters()]
    scores = [(token, 0.0) for token in SPECIAL] + [(piece, -2.0 - 8.0 / len(piece)) for piece in pieces]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=SPECIAL.index("<unk>")))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([*SPECIAL])
    return tokenizer


def _wordpiece() -> Tokenizer:
    letters = sorted({letter.lower() for letter in _letters() if not letter.isspace()})
    pieces = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    pieces += [word.lower() for word in _words() if len(word) > 1]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([*SPECIAL])
    return tokenizer


def _words() -> list[str]:
    return list(dict.fromkeys(re.findall(r"\w+", " ".join(_SENTENCES))))


def _letters() -> list[str]:
    return sorted(set("".join(_SENTENCES)) - {" "})


def _trained(tokenizer: Tokenizer, trainer: Any) -> Tokenizer:
    trainer.show_progress = False
    tokenizer.train_from_iterator(_SENTENCES, trainer)
    return tokenizer


def _begins_with_bos(tokenizer: Tokenizer) -> Any:
    from tokenizers.processors import TemplateProcessing

    return TemplateProcessing(single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])


def tiny_encoder_folder(folder: Path, similarity: str = "cosine", query_prompt: str = "") -> Path:
    """Writes a random sentence-transformers model of dimension HIDDEN into `folder`."""
    from sentence_transformers import SentenceTransformer
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    tokenizer = tiny_tokenizer("wordpiece")
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        initializer_range=0.5,
    )
    base = folder / "base"
    BertModel(config).save_pretrained(base)
    tokenizer.save_pretrained(base)
    prompts = {"query": query_prompt, "document": ""}
    SentenceTransformer(str(base), similarity_fn_name=similarity, prompts=prompts, device="cpu").save(str(folder))
    return folder


def tiny_cross_encoder_folder(folder: Path, labels: int = 1) -> Path:
    """Writes a random cross-encoder that gives `labels` scores to a pair into `folder`."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    tokenizer = tiny_tokenizer("wordpiece")
    sizes = {"hidden_size": HIDDEN, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = BertConfig(vocab_size=len(tokenizer), initializer_range=0.5, num_labels=labels, **sizes)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@cache
def tiny_encoder(similarity: str = "cosine") -> FeatureEncoder:
    """A random feature encoder of dimension HIDDEN; shared, so leave its weights alone."""
    from r2ag.encoder.encoder import FeatureEncoder

    with TemporaryDirectory() as folder:
        encoder = FeatureEncoder.from_pretrained(str(tiny_encoder_folder(Path(folder), similarity)), device="cpu")
    encoder.name = "tiny-encoder"
    return encoder


def tiny_adapter(llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, **changes: Any) -> Adapter:
    """An untrained adapter of tiny_encoder() and this LLM, for up to 8 documents; `changes` are Adapter.create's."""
    from r2ag.adapter.adapter import Adapter
    from r2ag.method.former import FormerConfig
    from r2ag.method.prompting import PromptTemplate

    torch.manual_seed(0)
    options = {
        "method": "r2ag",
        "encoder": tiny_encoder(),
        "former": FormerConfig(HIDDEN, hidden_size=16, heads=2, feed_forward_size=32, max_documents=8),
        "template": PromptTemplate("Answer.\n", "[{number}] Match:{slots} {document}\n", "Question: {question}\n"),
        "llm_name": "tiny-llm",
    }
    adapter = Adapter.create(llm=llm, tokenizer=tokenizer, **(options | changes))
    adapter.former.eval()
    return adapter


def some_documents(count: int) -> tuple[Document, ...]:
    """Documents that differ, with a title on every other one."""
    return tuple(
        Document(f"The bridge number {i} was built in {1400 + i}.", f"Bridge {i}" if i % 2 else "", relevant=i == 0)
        for i in range(count)
    )
