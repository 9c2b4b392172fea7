"""How much the agent may do without asking: levels, the gate, approvers."""
