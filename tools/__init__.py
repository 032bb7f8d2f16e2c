"""What the project is tried on and measured with: real servers, the benchmark, visitors."""
