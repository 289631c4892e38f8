"""What plugin authors test with: conformance suites that define the ports, and factories of records."""
