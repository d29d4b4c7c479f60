"""The conformance kit, run on the stores in the box."""
