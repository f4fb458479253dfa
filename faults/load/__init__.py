"""What all clients of the workload share: how much load there is, and how they record what they receive."""
