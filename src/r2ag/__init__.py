"""R²AG: retrieval-augmented generation in which the LLM is told why each document was retrieved."""

__version__ = "0.1.0"
