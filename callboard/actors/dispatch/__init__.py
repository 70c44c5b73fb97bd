"""The pure core of the manager: what happens and ``now`` go in, commands as values come out."""
