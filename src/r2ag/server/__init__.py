"""An OpenAI-compatible server around one pipeline; `r2ag serve` starts it."""
