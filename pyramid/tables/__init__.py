"""Tables: rows in files, their encoding, how they are split and cached, and the trees that are learnt on them."""
