"""Draws the files' guests, or a plan, as a graph: SVG and Mermaid. Pure."""
