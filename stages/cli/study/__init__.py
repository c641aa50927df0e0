"""`bluepencil study`: what the custodian of the blind study does."""
