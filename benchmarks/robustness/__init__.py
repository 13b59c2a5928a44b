"""What must hold whatever comes: fuzzed input, and runs killed at random moments."""
