"""Test helpers of kits: servers, ports, packages, mutants, samples."""
