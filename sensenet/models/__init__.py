"""Models: a document, its settings and its compiled prediction."""
