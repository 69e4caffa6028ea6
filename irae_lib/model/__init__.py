"""Load a model, generate answers, parse and cache them."""
