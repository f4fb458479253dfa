"""The scripted score service."""
