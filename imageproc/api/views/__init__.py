"""The views of the JSON API. Each checks its input, makes one call of the domain, and answers."""
