"""Tables, figures and HTML views of results."""
