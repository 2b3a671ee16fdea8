"""TFLite files: one for phones, small boards and everything that LiteRT runs on."""
