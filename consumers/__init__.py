"""What the stand-alone site serves over WebSocket: the operator feed and the demo tenants. Thin shells over hub."""
