"""Training the readout: losses, optimisers, sampling, the compiled loop, metrics and importances."""
