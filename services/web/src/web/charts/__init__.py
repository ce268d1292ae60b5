"""Charts over the series that the folds keep: read, reduced to what a screen can show, drawn and served."""
