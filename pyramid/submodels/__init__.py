"""What a training job leaves: fit info and weights, and how the submodels of a search rank."""
