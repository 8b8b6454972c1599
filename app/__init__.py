"""The application: settings, wiring, commit, duty loop, REST API, console, command line and demo."""
