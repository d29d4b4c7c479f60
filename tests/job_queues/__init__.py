"""The conformance kit for job queue strategies, on those in the box and on the fakes."""
