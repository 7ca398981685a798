"""Dead letters and refused files: listed, mended, replayed, settled."""
