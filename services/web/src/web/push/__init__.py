"""What is pushed: streams followed, entries queued for clients, and the form in which they travel."""
