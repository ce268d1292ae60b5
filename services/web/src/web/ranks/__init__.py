"""The ranks of assets on days of the past, which marketcap keeps."""
