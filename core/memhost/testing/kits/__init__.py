"""Parts of the suites."""
