"""The application: settings, wiring, commit, duty loop, REST API, console, command line and demo."""

import app.engine  # noqa: F401  # decides which engine later imports find
