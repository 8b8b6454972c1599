"""The console: pages rendered on the server, readable without a script, Chinese first with English at a click."""
