"""What kits and tests are made of: servers, ports, packages, mutants, samples."""
