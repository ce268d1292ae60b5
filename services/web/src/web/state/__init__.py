"""What web knows: read from Redis, held, judged, and told to whoever shows it. Knows of no page and no address."""
