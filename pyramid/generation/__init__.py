"""Foregrounds pasted on backgrounds: labelled images made from cut-outs. Only `commands/generate` reads it."""
