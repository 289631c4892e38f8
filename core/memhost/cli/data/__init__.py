"""Commands that work with memories, sessions, jobs and users."""
