"""Finders: what finds the documents that the adapter's encoder then describes."""

from r2ag.retrieval.base import Finder, Found
from r2ag.retrieval.stores import BM25Finder, DenseFinder, HybridFinder, StoreFinder, fuse

__all__ = ["BM25Finder", "DenseFinder", "Finder", "Found", "HybridFinder", "StoreFinder", "fuse"]
