"""A worker that trains deepnets: see `pyramid.worker` for the process, `pyramid.jobs` for what it can do."""

__version__ = "1.0.0"
