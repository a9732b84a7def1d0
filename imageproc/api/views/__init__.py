"""The views of the JSON API: each parses, makes one call of the domain, and answers."""
