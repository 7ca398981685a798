"""Made-up shops with a history, for the tests and benchmarks of portal and features; not in the distribution."""
