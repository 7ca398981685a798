"""From rows of the past to the newest online: ours, redis-py by hand, and Feast."""
