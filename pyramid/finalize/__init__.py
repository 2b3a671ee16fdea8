"""The final document, made of what jobs left."""
