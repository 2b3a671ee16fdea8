"""What prediction does before the network: raw fields become columns of numbers."""
