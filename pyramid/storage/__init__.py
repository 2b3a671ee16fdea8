"""Files written whole or not at all, read with clear errors, and told apart by their digests."""
