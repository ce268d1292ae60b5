"""The pages that people see: a folder each, with its template, its cards and what they show."""
