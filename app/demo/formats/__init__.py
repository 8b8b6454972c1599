"""How the city's offices and machines write what they record: each module knows the formats of some senders, dirt included."""
