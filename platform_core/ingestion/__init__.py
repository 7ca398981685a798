"""Raw rows land: arrivals become accepted rows or dead letters."""
