"""Feature computation: views and labels from raw rows, checks of them, and the point-in-time join."""
