-- The newest settings for boards that are made by their first award.
SELECT version, settings FROM score.default_settings ORDER BY version DESC LIMIT 1
