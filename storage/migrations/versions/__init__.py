"""One module per revision; each follows the one before."""
