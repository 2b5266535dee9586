"""Walks exactly the graph that the plan holds, concurrently, and tells what happens."""
