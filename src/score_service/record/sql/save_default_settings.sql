-- Adds a version of the default, unless it is there.
INSERT INTO score.default_settings (version, settings, actor, saved_at)
VALUES (%(version)s, %(settings)s, %(actor)s, score.ledger_clock())
ON CONFLICT DO NOTHING
RETURNING version
