"""WebSockets and Server-Sent Events: the conversation, its close codes, and the open connections."""
