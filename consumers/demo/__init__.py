"""
Demo tenants: consumers as an ordinary Channels project writes them, monitored by one added base class.

They are examples and a source of numbers for the operator page, nothing to build a service on: whatever they
remember lives in this process and is gone when it ends.
"""
