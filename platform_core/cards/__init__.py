"""What is known of a version, for whoever must answer for it: a model card, and a file by the EU AI Act's Annex IV.

Both are made of the ledger and the team's declaration alone, so the same of both gives the same text; what the platform
cannot know they say, and leave to people.
"""
