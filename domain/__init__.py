"""Nouns and ports of Fengsui (烽燧): what a signal, an object, a warning and a task are, and what the outside must offer.

Nothing here does I/O or reads a clock; every other package may import it, it imports none of them.
"""
