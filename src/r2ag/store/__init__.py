"""Stores: passages, vectors and a full-text index; embedded in a folder, in PostgreSQL, or in Qdrant."""

from r2ag.store.base import AnySnapshot, AnyStore, AnyWriter, Hit, StoredFile, StoreInfo
from r2ag.store.indexing import IndexReport, index_files, remove_files
from r2ag.store.locations import CopyReport, copy_store, create_store, open_store
from r2ag.store.store import Snapshot, Store
from r2ag.store.where import read_where

__all__ = [
    "AnySnapshot",
    "AnyStore",
    "AnyWriter",
    "CopyReport",
    "Hit",
    "IndexReport",
    "Snapshot",
    "Store",
    "StoreInfo",
    "StoredFile",
    "copy_store",
    "create_store",
    "index_files",
    "open_store",
    "read_where",
    "remove_files",
]
