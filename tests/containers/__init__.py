"""`make containers`: the image and the compose file, run for real on a container engine."""
