"""A request path: its hops in order, the connections between them, and whether their timers are ordered."""
