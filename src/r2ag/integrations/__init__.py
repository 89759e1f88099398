"""R²AG in other frameworks, one a file; each needs the extra of its name."""
