"""The commands of `bluepencil`."""
