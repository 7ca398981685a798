"""Live quality: estimated at once, realised as labels come, by version, window and group; fairness with it."""
