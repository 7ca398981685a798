"""What the platform holds on a person: shown, erased, and looked for again."""
