"""Files to blocks of text, and blocks to passages."""

from r2ag.corpus.blocks import Block, Skipped, SourceFile
from r2ag.corpus.chunking import chunk
from r2ag.corpus.files import FileReader, read_file, read_files
from r2ag.corpus.listing import list_files
from r2ag.corpus.reading import read_documents, read_sources

__all__ = [
    "Block",
    "FileReader",
    "Skipped",
    "SourceFile",
    "chunk",
    "list_files",
    "read_documents",
    "read_file",
    "read_files",
    "read_sources",
]
