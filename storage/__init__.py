"""What is kept: journal, identity index, raw input, snapshots, and the SQL tables of obligations."""
