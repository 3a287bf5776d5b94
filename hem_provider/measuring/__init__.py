"""Measuring a device's operations: what ``hem bench`` and the project's own benchmarks share."""
