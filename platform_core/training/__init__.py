"""A pinned training set becomes a judged, packaged model."""
