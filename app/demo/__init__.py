"""The seeded city simulator of `fengsui demo`: an invented city, one month of what happens in it, and the departments that answer.

Nothing in this package knows a rule, a model, a threshold or a level: the engine meets the city's records as a stranger.
"""
