"""The profile of a user: what holds of each facet, and the standing rules that the user gave."""
