"""OpenTelemetry: the application's own spans, logs and metrics into the store, and stored ones out to any endpoint."""
