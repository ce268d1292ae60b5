"""Addresses that holders of bitcoin published: what lies there, and when it moves."""
