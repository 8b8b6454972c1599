"""Signed webhooks to departments."""
