"""The images of jobs: rows, pixels, features, augmentations, and where their network comes from."""
