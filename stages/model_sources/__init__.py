"""Where a base model comes from: a package, the hub or a folder."""
