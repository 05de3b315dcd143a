"""Forward passes of causal language models, and how few tokens of them are computed."""
