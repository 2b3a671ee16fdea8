"""The search of `pyramid_fit`: jobs for a table, workers that run them, and the best of what they leave."""
