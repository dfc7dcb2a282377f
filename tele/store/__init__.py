"""KEEP: the log. Event columns, journal, segments, manifest, SQL."""
