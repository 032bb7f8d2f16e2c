"""Development tools: real servers, benchmarks and load tests."""
