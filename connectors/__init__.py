"""The edge: what other systems send us (`inbound`) and what we send them (`outbound`)."""
