"""Rows a second from where they arrive to raw rows and dead letters in the lake."""
