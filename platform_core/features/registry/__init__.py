"""Feature registry: views, their versions, meaning and readers, and the watermark of each."""
