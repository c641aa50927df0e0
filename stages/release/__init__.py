"""Releasing a policy, and verifying a release."""
