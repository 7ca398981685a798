"""What vendors share whose servers are containers of a cloud's service for endpoints."""
