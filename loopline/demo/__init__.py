"""The demo: a team's history through the whole loop, told as it happens."""
