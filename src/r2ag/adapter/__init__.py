"""An adapter: the trained parts on disk, and how it recognises the LLM and the encoder that it belongs to."""
