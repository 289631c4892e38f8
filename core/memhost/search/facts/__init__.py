"""One hit for each fact: statements with the turns that say them, and what a newer fact replaced."""
