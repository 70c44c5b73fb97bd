"""A simulation of the manager's core under faults: a virtual clock, a network that loses, workers and clients that die,
stall and come back. Everything that happens follows from one seed; ``python -m tests.simulation SEED`` replays it."""
