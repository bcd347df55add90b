"""Devices and hosts: mesh, sharding rules, global arrays."""
