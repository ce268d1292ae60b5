"""Keys, descriptors and addresses to scripts; which of them were used; what they hold together. No input or output."""
