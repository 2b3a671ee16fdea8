"""What predicts single images, whatever file it came from: documents, bundles, exports, other people's detectors."""
