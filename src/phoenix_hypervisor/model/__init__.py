"""The types that everything speaks: frozen, without I/O, importing nothing above them."""
