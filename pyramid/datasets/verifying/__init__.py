"""Downloaded pictures are decoded wholly, in several processes, before anybody trusts them."""
