"""From JSON text to the desired state, with every problem of every file told in one pass."""
