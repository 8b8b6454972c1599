"""Bytes in, signals out: decode, map, resolve, watch a folder."""
