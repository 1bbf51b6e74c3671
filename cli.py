"""Run featurekit from a checkout: python cli.py --help."""

from featurekit.commands import main

main()
