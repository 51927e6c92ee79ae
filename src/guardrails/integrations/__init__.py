"""Guards where messages are really sent: one module for each library, none of which imports another."""
