"""Dates and times in what people write: calendar words, relative dates, time zones."""
