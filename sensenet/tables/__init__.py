"""Tables that people have: files in several formats, read in bounded memory as Polars frames."""
