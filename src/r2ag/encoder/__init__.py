"""The feature encoder: the bi-encoder whose vectors describe every list of documents."""
