"""Messages by HTTP, for whatever program acts on them."""
