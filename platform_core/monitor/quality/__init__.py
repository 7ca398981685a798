"""Live quality: metrics estimated at once, realised as labels come, by version, window and group; fairness."""
