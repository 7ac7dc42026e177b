"""Builds or finds the real programs the tests run against, and runs them on loopback: `python -m tools`.

Standard library only, so that it works with the system's Python before any virtual environment exists.
"""
