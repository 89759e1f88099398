"""The method of the paper, to be read from top to bottom (arXiv 2406.13249).

1. `features`: what the encoder knows of each document, as three numbers (App. A, eq. 10-12).
2. `former`: the R²-Former makes of them a relevance logit (eq. 2, 7) and an anchor E^R (eq. 3) for each document.
3. `prompting`: token ids, with slots in front of each document (App. B); `templates` holds the words, and `plain_text`
   keeps any text from forging a slot or a chat token.
4. `model`: the LLM reads the prompt with E^R in its slots (eq. 4-6), and its losses train the R²-Former (eq. 8, 9).
   `embeddings` is what it reads; `prefix_cache` keeps keys and values of beginnings that many prompts share. Engines
   generate (r2ag.engines).
5. `calibration`: a relevance logit becomes a probability that means the same everywhere.
"""
