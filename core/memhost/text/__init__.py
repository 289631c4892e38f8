"""Text as people write it: words, scripts, speakers, messages, passages."""
