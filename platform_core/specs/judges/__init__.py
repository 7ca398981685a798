"""Gates of a version and judges of a rollout, with the statistics that they rest on."""
