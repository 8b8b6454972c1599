"""The groups of the command line, one module each; everything heavy is imported inside the command that needs it."""
