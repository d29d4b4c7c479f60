"""Job queue strategies with one planted bug each, for testing their conformance kit itself."""
