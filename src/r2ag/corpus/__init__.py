"""Files to documents."""

from r2ag.corpus.text import read_documents

__all__ = ["read_documents"]
