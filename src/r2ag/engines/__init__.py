"""Generation: what `base.Engine` is, and engines in this process and at servers."""
