"""Desired and observed state in, a plan out. Pure: the same input gives the same plan."""
