"""Intervals, paired differences, accuracy, calibration, capability, probe: numbers in, numbers out."""
