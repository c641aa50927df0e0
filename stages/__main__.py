"""`python -m stages` is `bluepencil`."""

from stages.cli.app import main

main()
