-- Keeps out everyone else who would change the actions, until the transaction ends. Reading goes on.
LOCK TABLE gateway.action IN SHARE ROW EXCLUSIVE MODE
