"""The feature registry: views, their versions, meaning and readers, and how far each is materialized."""
