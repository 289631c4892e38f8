"""Working memory: sessions of messages, read, written, changed, summarised and extracted from."""
