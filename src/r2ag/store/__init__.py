"""The embedded store: passages, vectors and a full-text index in one folder."""

from r2ag.store.indexing import IndexReport, Progress, index_files, remove_files
from r2ag.store.snapshot import Hit, Snapshot, StoredFile
from r2ag.store.store import Store, StoreInfo
from r2ag.store.where import parse_where

__all__ = [
    "Hit",
    "IndexReport",
    "Progress",
    "Snapshot",
    "Store",
    "StoreInfo",
    "StoredFile",
    "index_files",
    "parse_where",
    "remove_files",
]
