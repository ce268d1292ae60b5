"""One module a source: its name, its limits, the paths to ask, and how its answers are decoded. None asks anything.

Each has NAME (in keys), TITLE (for a person), HOST, LINK (for people to look at), LIMITS ((requests, seconds), all of
which hold at once), functions that build paths below `https://HOST`, and decoders that raise OutsideMalformed.
"""
