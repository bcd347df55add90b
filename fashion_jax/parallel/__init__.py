"""Devices and hosts: the mesh, sharding rules, global arrays."""
