"""`recomp:N`, `recomp:N=ENCODER`, `recomp=COMPRESSOR`: RECOMP (Xu, Shi and Choi, 2023, arXiv 2310.04408).

Extractive: of all sentences of all documents the N nearest to the question are read (2 without an N, as in the paper's
HotpotQA). Faithful with one of the authors' fine-tuned encoders; with any other, such as the one that described the
lists, an approximation, and so named in reports. The paper puts the sentences one after another; here they stand under
their document's number and title, in the list's order, as the prompt of every method here has its documents.

Abstractive: a sequence-to-sequence model writes a summary of all documents, which is read in their place; faithful with
the authors' weights, in whose words the input stands.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from r2ag.encoder.encoder import FeatureEncoder, weights_digest
from r2ag.errors import InputError
from r2ag.evaluation.methods import Spec
from r2ag.evaluation.methods.bench import Bench
from r2ag.evaluation.methods.refined import Refine, Refined, Refinement, joined, parts, refined_rag
from r2ag.models.loading import loading
from r2ag.types import Document, RankedList

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SENTENCES = 2
SUMMARY_TOKENS = 128
INPUT_TOKENS = 1024


def create(spec: Spec, bench: Bench) -> Refined:
    """What MODEL holds decides whether sentences are chosen or written.

    Raises:
        InputError: N or the model can't be used.
    """
    if spec.folder and _writes(spec.folder):
        spec.refuse_argument()
        model, tokenizer = _load_compressor(spec.folder)
        settings = {"compressor": weights_digest(model)}
        return refined_rag(spec, bench, lambda ranked: summarised(ranked, model, tokenizer), settings)
    encoder = FeatureEncoder.from_pretrained(spec.folder) if spec.folder else bench.describing_encoder
    count = spec.count() if spec.argument else SENTENCES
    return refined_rag(spec, bench, _extraction(encoder, count), {"compressor": encoder.fingerprint, "count": count})


def _extraction(encoder: FeatureEncoder, count: int) -> Refine:
    def refine(ranked: RankedList) -> Refinement:
        found = parts(ranked.documents)
        vectors = encoder.encode_documents([part.document for part in found])
        scores = vectors @ encoder.encode_queries([ranked.question])[0]
        return joined(found[index] for index in sorted(np.argsort(-scores, kind="stable")[:count].tolist()))

    return refine


def summarised(ranked: RankedList, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Refinement:
    """One document, the summary; none where the compressor writes nothing, as it may."""
    # The words in which the authors' compressors were trained.
    passages = "\n".join(document.passage for document in ranked.documents)
    text = f"Question: {ranked.question}\n Document: {passages}\n Summary: "
    inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=INPUT_TOKENS).to(model.device)
    generator: Any = model
    ids = generator.generate(**inputs, do_sample=False, max_new_tokens=SUMMARY_TOKENS)
    summary = str(tokenizer.decode(ids[0], skip_special_tokens=True)).strip()
    return Refinement((Document(summary),), len(ranked)) if summary else Refinement((), 0)


def _writes(name: str) -> bool:
    """Whether the model generates, and does not make vectors."""
    if (Path(name) / "modules.json").is_file():
        return False
    with loading("compressor", name, name):
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    # An encoder may be half of a T5; only whole ones say that they generate.
    return bool(config.is_encoder_decoder) and any(
        "ForConditionalGeneration" in architecture for architecture in config.architectures or ()
    )


def _load_compressor(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    with loading("compressor", name, name):
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        if tokenizer is None:
            raise InputError(f"The compressor {name} has no tokenizer; copy or download it again.")
        model = AutoModelForSeq2SeqLM.from_pretrained(name, use_safetensors=True, trust_remote_code=False)
    return model.eval(), tokenizer
