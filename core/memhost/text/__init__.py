"""Text as people write it: languages, stems, function words, dates, speakers, passages."""
