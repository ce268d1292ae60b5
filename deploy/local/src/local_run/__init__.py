"""The embedded run: a real node, Valkey and every service on this machine, for trying out and for tests."""
