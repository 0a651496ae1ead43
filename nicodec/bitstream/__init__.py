"""A .nic file as integers and bytes, without networks.

Between `coding`, which finds the integers, and files. docs/FORMAT.md is the specification.
"""
