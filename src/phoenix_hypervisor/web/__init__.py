"""The dashboard and its JSON API: what the commands do, as pages."""
