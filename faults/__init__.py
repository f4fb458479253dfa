"""Breaks a real Laurel on purpose, under load, and judges afterwards whether it kept its promises.

- `cluster` starts every part as a process of its own, with a proxy between any two of them.
- `workload` plays users, backends and watchers, and writes all that they saw into a `history`.
- `nemesis` breaks parts, alone and in pairs, in an order that a seed decides, and mends them.
- `checker` reads the history, the record and Redis, and lists what cannot be explained. It imports nothing of
  the services: what they promise is written down a second time there, on purpose.

`make faults SEED=… MINUTES=…` runs it; `docs/guarantees.md` tells what is promised, and shown by what.
"""
