"""Model documentation of a version: a model card, and the technical file of the EU AI Act's Annex IV.

Both are made of the ledger and the team's declaration alone, so the same of both gives the same text; what the platform
cannot know they say, and leave to people.
"""
