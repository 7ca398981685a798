"""Feature service: HTTP API of the feature registry, online features and training sets."""
