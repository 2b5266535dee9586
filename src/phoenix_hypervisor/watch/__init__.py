"""Watches guests that are there: measures what they promise, and decides what heals them."""
