"""Pure decisions: values in, values out. No disk, clock, network, torch or hidden randomness."""
