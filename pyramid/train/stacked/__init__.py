"""Networks of one architecture that are trained side by side, in one compiled program."""
