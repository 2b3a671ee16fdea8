"""Bundles: a SavedModel and settings in one file."""
