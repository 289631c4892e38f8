"""The test tools of plugin authors: conformance suites that define the ports, and factories of records."""
