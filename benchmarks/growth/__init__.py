"""What one more costs after a long history, and what the whole of it costs."""
