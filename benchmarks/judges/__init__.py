"""How often judges cry wolf, and how soon they find harm, by simulated rollouts."""
