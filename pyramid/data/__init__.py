"""Reading, encoding and splitting rows."""
