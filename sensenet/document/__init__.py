"""BigML model documents: files, fields, layers and trees, parsed once into frozen specs."""
