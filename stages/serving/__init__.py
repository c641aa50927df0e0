"""`bluepencil study serve`: the sealed ballot pages on a local address, and the ballots taken in."""
