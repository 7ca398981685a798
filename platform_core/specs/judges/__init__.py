"""Gates of a version and judges of a rollout (canary analysis), with their statistics."""
