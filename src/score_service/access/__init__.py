"""Who may call what, how much and how fast: identity, policy, quotas, admission, velocity."""
