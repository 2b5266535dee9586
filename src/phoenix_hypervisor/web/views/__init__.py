"""What pages show, as values: made without a browser, and tested so."""
