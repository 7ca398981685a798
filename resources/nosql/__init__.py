"""What clouds' stores of documents share: how keys are spelled, rows are settled among writers, and asks travel."""
