"""Phoenix: a folder of JSON files becomes a running, verified stack."""

__version__ = "0.1.0"
