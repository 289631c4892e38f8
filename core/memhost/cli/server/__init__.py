"""Commands that run and check servers and workers."""
