"""The metrics: a module each, which reads its series and makes a chart of them."""
