"""Public suites of attacks on agents' memory, run against memhost through adapters."""
