"""Question-answering records: read, check, write, split, mix, rank, mine."""

from r2ag.records.files import read_files, read_records, write_records
from r2ag.records.split import Split, split_records

__all__ = ["Split", "read_files", "read_records", "split_records", "write_records"]
