"""The profile of users."""
