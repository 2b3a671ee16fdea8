"""The console commands beside the worker: train image networks, evaluate models."""
