"""Windows of the prediction log against the profile kept with the model version."""
