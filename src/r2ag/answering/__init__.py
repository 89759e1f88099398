"""From a list of documents to an answer with citations: assess, prompt, generate, cite, explain."""
