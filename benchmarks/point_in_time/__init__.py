"""Training rows from labels and feature views: ours, Polars by hand, and Feast, each in a process of its own."""
