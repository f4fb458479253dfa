"""Tells whether a client of the score service keeps the rules of `docs/clients.md`: `make conformance`.

- `server` is a scripted score service with mutual TLS, which also does what a real one rarely does.
- `adapter` starts the client under test as a process and talks with it by lines of JSON.
- `cases` are the rules: each plays a scene, and judges what the client told and what the server saw.

It knows no client, and nothing of the code of the service. It is not part of the distribution, and nothing in
`src` may import it.
"""
