"""The demo: two years of real orders through the whole loop, told as it happens."""
