"""Visitors of the demo tenants: real WebSocket traffic with the rhythm of people and machines."""
