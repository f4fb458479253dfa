"""Injects faults into a running stack under load, and checks afterwards that it kept its guarantees.

- `cluster` starts every part as a process, with a proxy of `network` on every connection between two parts.
- `workload` runs the clients (`backends`, `players`) and records all that they receive in a history.
- `nemesis` injects faults, alone and in pairs, in an order that a seed decides, and heals them.
- `evidence` reads the record, Redis and the metrics afterwards.
- `rules` checks all of it, in the values of `model`. It imports nothing of the services: what they guarantee
  is specified there a second time, on purpose.
- `launchers` start services with a bug, a wrong clock or failpoints.

`make faults SEED=… MINUTES=…` runs it; `docs/guarantees.md` says what is guaranteed, and which test shows it.
"""
