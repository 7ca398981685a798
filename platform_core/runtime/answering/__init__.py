"""Request handling: chooses the version, gathers features, predicts, and answers."""
