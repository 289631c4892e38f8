"""The context of a query within a budget of tokens, and the memory prompt: what an agent reads."""
