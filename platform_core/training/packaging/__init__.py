"""A fitted estimator becomes a package that the server loads, registered with its profile and materials."""
