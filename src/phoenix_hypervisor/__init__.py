"""Phoenix: a folder of JSON files becomes a running, verified AI platform."""

__version__ = "0.1.0"
