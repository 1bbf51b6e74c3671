"""Run featurekit from a checkout: python cli.py --help."""

from featurekit.cli.app import main

main()
