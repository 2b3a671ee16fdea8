"""Data sets of images as others publish them: their lists, their pictures, and the steps from there to training."""
