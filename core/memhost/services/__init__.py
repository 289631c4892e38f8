"""Services: the rules of memory, free of any protocol and any engine."""
