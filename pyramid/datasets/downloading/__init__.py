"""Pictures from their addresses: many at once, politely, each whole or not at all."""
