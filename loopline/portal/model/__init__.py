"""What a model's page says, a part a file: each reads its own and gives plain dataclasses."""
