"""The demo: replays a team's history through the whole loop, and reports what happens."""
