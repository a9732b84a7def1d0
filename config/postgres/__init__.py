"""Django's backend for PostgreSQL, with a health check of its own."""
