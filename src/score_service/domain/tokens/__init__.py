"""Text that clients carry and hand back as it is: where a page ended, and which plan is meant."""
