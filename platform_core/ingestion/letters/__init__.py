"""Dead letters and refused files: kept, listed, mended, replayed, settled."""
