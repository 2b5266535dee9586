"""Watching at work: asks, keeps, tells, and heals."""
