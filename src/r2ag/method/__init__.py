"""The method of the paper, one step a file, to be read from top to bottom (arXiv 2406.13249).

1. `features`: what the retriever knows of each document, as three numbers (App. A, eq. 10-12).
2. `former`: the R²-Former makes of them a relevance logit and an anchor E^R for each document (eq. 2, 3, 7).
3. `prompting`: the prompt, with a slot in front of each document (eq. 4, 5, App. B); `templates` holds its words, and
   `plain_text` keeps any text from forging a slot or a chat token.
4. `model`: the LLM reads the mixed embeddings (eq. 6), and its losses train the R²-Former (eq. 8, 9); `embeddings` is
   what it reads, `prefix_cache` the KV cache of the prefixes that many prompts share.
5. `calibration`: a relevance logit becomes a probability that means the same everywhere.
"""
