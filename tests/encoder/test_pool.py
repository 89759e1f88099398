"""Several encoders are one: the same vectors, in the same order, whichever process made them."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from r2ag.encoder.encoder import FeatureEncoder
from r2ag.encoder.pool import BATCH, EncoderPool
from r2ag.errors import InputError
from r2ag.types import Document
from tests.tiny import tiny_encoder_folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> FeatureEncoder:
    return FeatureEncoder.from_pretrained(str(tiny_encoder_folder(tmp_path_factory.mktemp("encoder"))), device="cpu")


def test_the_vectors_are_the_encoders_own(encoder, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    documents = [Document(f"Bridge number {number}. " * (1 + number % 7)) for number in range(3 * BATCH + 1)]
    documents.append(Document("\ud800\x07"))  # nothing that a tokenizer could read
    before, heard = dict(os.environ), signal.getsignal(signal.SIGINT)
    with EncoderPool(encoder, ["cpu", "cpu"]) as pool:
        assert dict(os.environ) == before
        assert signal.getsignal(signal.SIGINT) is heard
        np.testing.assert_allclose(pool.encode_documents(documents), encoder.encode_documents(documents), atol=1e-5)
        assert pool.encode_documents([]).shape == (0, encoder.dimension)
        np.testing.assert_array_equal(pool.encode_queries(["Which?"]), encoder.encode_queries(["Which?"]))
        assert pool.fingerprint == encoder.fingerprint
        processes = pool._pool["processes"]
        os.kill(processes[0].pid, signal.SIGINT)  # Ctrl-C is for the parent
        assert len(pool.encode_documents(documents)) == len(documents)
        for process in processes:
            process.kill()
            process.join()
        with pytest.raises(InputError, match="has died"):
            pool.encode_documents(documents)


@pytest.mark.parametrize("device", ["cuda:99", "abacus", ""])
def test_a_device_that_is_not_there(encoder, device):
    with pytest.raises(InputError, match="There is no device"):
        EncoderPool(encoder, ["cpu", device])
