"""The feature encoder on several devices at once, for large corpora: a process on each."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import numpy as np

from r2ag.encoder.encoder import FeatureEncoder, legible
from r2ag.errors import InputError
from r2ag.types import Document

BATCH = 32  # texts that are padded to one length, as sentence-transformers has it


class EncoderPool(FeatureEncoder):
    """An encoder whose documents are encoded by one process a device; questions by this one.

    Used in a `with` statement, whose end ends the processes.

    Args:
        devices: as torch names them, such as "cuda:0"; "cpu" may be there several times, and its processes share the
            machine's cores.

    Raises:
        InputError: a device is not there.
    """

    def __init__(self, encoder: FeatureEncoder, devices: Sequence[str]) -> None:
        super().__init__(encoder.model, encoder.name, encoder.lora)
        for device in dict.fromkeys(devices):
            _check_device(device)
        self.devices = tuple(devices)
        self._pool: Any = None

    def __enter__(self) -> EncoderPool:
        with _started_apart(self.devices.count("cpu")):
            self._pool = self.model.start_multi_process_pool(list(self.devices))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.model.stop_multi_process_pool(self._pool)
        self._pool = None

    def encode_documents(self, documents: Sequence[Document], progress: bool = False) -> np.ndarray:
        """Vectors of documents (title and text): float32, shape (len(documents), dimension).

        Raises:
            InputError: a process has died.
        """
        if not documents:
            return np.zeros((0, self.dimension), dtype=np.float32)
        try:
            vectors = self.model.encode_document(
                [legible(document.passage) for document in documents],
                pool=self._pool,
                chunk_size=BATCH,
                batch_size=BATCH,
                normalize_embeddings=self.similarity == "cosine",
                show_progress_bar=progress,
            )
        except RuntimeError as error:
            if all(process.is_alive() for process in self._pool["processes"]):
                raise
            raise InputError(
                "A process that encodes has died, perhaps for want of memory; name fewer devices, and start again."
            ) from error
        return np.asarray(vectors, dtype=np.float32)


def _check_device(name: str) -> None:
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InputError(f"There is no device {name!r} here; name others, such as cuda:0 or cpu.") from None


@contextmanager
def _started_apart(on_cpu: int) -> Iterator[None]:
    """Processes that begin in here don't hear Ctrl-C, which their parent answers, and share the cores."""
    settings = {"PYTHONWARNINGS": "ignore:resource_tracker"}  # of the locks of tqdm, which nobody ends in a process
    if on_cpu and "OMP_NUM_THREADS" not in os.environ:
        settings["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // on_cpu))
    before = {name: os.environ.get(name) for name in settings}
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN) if _is_main_thread() else None
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if heard is not None:
            signal.signal(signal.SIGINT, heard)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
